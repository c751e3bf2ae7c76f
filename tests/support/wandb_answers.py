"""What a stand-in for the W&B server keeps, and how it answers the GraphQL operations of wandb and wandb-workspaces.

The names of operations are internal to wandb and may change with it.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

ENTITY = "somebody"

Variables = dict[str, Any]


@dataclass
class SentRun:
    """What the server knows of one run."""

    config: dict[str, Any] = field(default_factory=dict)
    group: str = ""
    job_type: str = ""
    times_begun: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    ended: bool = False


@dataclass
class View:
    """A saved workspace or report."""

    kind: str
    title: str
    spec: dict[str, Any]
    times_saved: int = 1


@dataclass
class Kept:
    """Everything that clients have sent, and what they are told.

    Attributes:
        url: Of the server.
        runs: By run id.
        views: By the view's id; `view_names` are the names that lead to them.
        artifacts: (type, run) of each.
        files: Contents by path, which begins with the run's id.
        sweeps: Definitions by id.
        commands: What agents are told to do, one list for each heartbeat.
    """

    url: str = ""
    runs: dict[str, SentRun] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)
    view_names: dict[str, str] = field(default_factory=dict)
    artifacts: list[tuple[str, str]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    sweeps: dict[str, str] = field(default_factory=dict)
    commands: list[list[dict[str, Any]]] = field(default_factory=list)

    def run(self, identifier: str) -> SentRun:
        return self.runs.setdefault(identifier, SentRun())


def viewer(kept: Kept, variables: Variables) -> dict[str, Any]:
    about = {"id": "U", "entity": ENTITY, "username": ENTITY, "email": "", "admin": False, "flags": "{}"}
    return {"viewer": {**about, "teams": {"edges": []}, "apiKeys": {"edges": []}}}


def server_info(kept: Kept, variables: Variables) -> dict[str, Any]:
    versions = {"max_cli_version": "1000", "min_cli_version": "0"}
    return {"serverInfo": {"cliVersionInfo": versions, "latestLocalVersionInfo": None, "features": []}}


def begin_run(kept: Kept, variables: Variables) -> dict[str, Any]:
    identifier = variables["name"]
    run = kept.run(identifier)
    if variables.get("config"):
        values = json.loads(variables["config"])
        run.config |= {name: entry["value"] for name, entry in values.items() if "value" in entry}
    run.group = variables.get("groupName") or run.group
    run.job_type = variables.get("jobType") or run.job_type
    bucket = {"id": f"bucket-{identifier}", "name": identifier, "description": "", "sweepName": variables.get("sweep")}
    bucket |= {"displayName": variables.get("displayName") or identifier, "config": variables.get("config") or "{}"}
    bucket |= {"historyLineCount": len(run.history), "project": project(variables.get("project") or "")}
    return {"upsertBucket": {"bucket": bucket, "inserted": True}}


def resume_status(kept: Kept, variables: Variables) -> dict[str, Any]:
    """Every run is new: what is sent twice is seen twice."""
    kept.run(variables["name"]).times_begun += 1
    return {"model": None}


def upload_addresses(kept: Kept, variables: Variables) -> dict[str, Any]:
    run, names = variables["run"], variables.get("files") or []
    files = [{"name": name, "uploadUrl": f"{kept.url}/upload/{run}/{name}"} for name in names]
    return {"createRunFiles": {"runID": run, "uploadHeaders": [], "files": files}}


def create_artifact(kept: Kept, variables: Variables) -> dict[str, Any]:
    given = variables.get("input") or variables
    kept.artifacts.append((given.get("artifactTypeName", ""), given.get("runName", "")))
    number = f"A{len(kept.artifacts)}"
    sequence = {"id": f"S{number}", "latestArtifact": {"id": number, "versionIndex": 0}}
    return {"createArtifact": {"artifact": {"id": number, "state": "PENDING", "artifactSequence": sequence}}}


def artifact_manifest(kept: Kept, variables: Variables) -> dict[str, Any]:
    """Where the list of an artifact's files is uploaded to."""
    place = f"artifacts/{variables['artifactID']}/manifest"
    file = {"id": place, "name": variables["name"], "displayName": variables["name"], "uploadHeaders": []}
    file |= {"uploadUrl": f"{kept.url}/upload/{place}"}
    return {"createArtifactManifest": {"artifactManifest": {"id": place, "file": file}}}


def artifact_files(kept: Kept, variables: Variables) -> dict[str, Any]:
    nodes = []
    for file in variables["input"]["artifactFiles"]:
        place = f"artifacts/{file['artifactID']}/{file['name']}"
        about = {"id": place, "name": file["name"], "displayName": file["name"], "storagePath": place}
        about |= {"artifact": {"id": file["artifactID"]}, "uploadUrl": f"{kept.url}/upload/{place}"}
        nodes.append({"node": {**about, "uploadHeaders": [], "uploadMultipartUrls": None}})
    return {"createArtifactFiles": {"files": {"edges": nodes}}}


def commit_artifact(kept: Kept, variables: Variables) -> dict[str, Any]:
    return {"commitArtifact": {"artifact": {"id": variables["artifactID"], "digest": "d"}}}


def project(name: str) -> dict[str, Any]:
    return {"id": "P", "name": name, "entityName": ENTITY, "internalId": "UHJvamVjdEludGVybmFsSWQ6MQ==", "entity": {
        "id": "E", "name": ENTITY}}  # fmt: skip


def projects(kept: Kept, variables: Variables) -> dict[str, Any]:
    node = {"__typename": "Project", **project("elsewhere"), "createdAt": "2026-01-01T00:00:00Z", "isBenchmark": False}
    page = {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}
    return {"models": {"totalCount": 1, "edges": [{"cursor": "", "node": {**node, "user": None}}], "pageInfo": page}}


def create_project(kept: Kept, variables: Variables) -> dict[str, Any]:
    made = project((variables.get("input") or variables)["name"])
    made |= {"description": None, "access": None, "views": None}
    return {"result": {"project": made, "model": made, "inserted": True}}


def save_view(kept: Kept, variables: Variables) -> dict[str, Any]:
    """Reports and workspaces; one with an id replaces the view of that id."""
    identifier, spec = variables.get("id"), json.loads(variables["spec"])
    new = not identifier
    if new:
        identifier = f"Vmlldzo{len(kept.views)}"
        kept.views[identifier] = View(variables["type"], variables["displayName"], spec)
    else:
        view = kept.views[identifier]
        view.title, view.spec, view.times_saved = variables["displayName"], spec, view.times_saved + 1
    kept.view_names[variables["name"]] = identifier
    return {"upsertView": {"view": described(kept, identifier, variables["name"]), "inserted": new}}


def described(kept: Kept, identifier: str, name: str) -> dict[str, Any]:
    view = kept.views[identifier]
    about = {"id": identifier, "type": view.kind, "name": name, "displayName": view.title, "description": ""}
    about |= {"createdAt": "2026-01-01T00:00:00", "updatedAt": "2026-01-01T00:00:00"}
    return {**about, "project": project("any"), "spec": json.dumps(view.spec)}


def find_views(kept: Kept, variables: Variables) -> dict[str, Any]:
    """Views of a kind, or the one of a name."""
    wanted = variables.get("viewName")
    found = [
        described(kept, identifier, name)
        for name, identifier in kept.view_names.items()
        if kept.views[identifier].kind == variables.get("viewType", "runs") and wanted in (None, name)
    ]
    edges = [{"node": {**view, "user": None}, "cursor": view["id"]} for view in found]
    page = {"endCursor": None, "hasNextPage": False}
    return {"project": {**project("any"), "allViews": {"edges": edges, "pageInfo": page}}}


def save_sweep(kept: Kept, variables: Variables) -> dict[str, Any]:
    identifier = f"sweep{len(kept.sweeps)}"
    kept.sweeps[identifier] = variables["config"]
    sweep = {"name": identifier, "project": project(variables.get("projectName") or "")}
    return {"upsertSweep": {"sweep": sweep, "configValidationWarnings": []}}


def find_sweep(kept: Kept, variables: Variables) -> dict[str, Any]:
    name = variables["sweep"]
    return {"project": {"sweep": {"name": name, "config": kept.sweeps[name], "runs": {"edges": []}}}}


def heartbeat(kept: Kept, variables: Variables) -> dict[str, Any]:
    commands = kept.commands.pop(0) if kept.commands else []
    return {"agentHeartbeat": {"agent": {"id": variables["id"]}, "commands": json.dumps(commands)}}


ANSWERS: dict[str, Callable[[Kept, Variables], dict[str, Any]]] = {
    "Viewer": viewer,
    "GetViewer": viewer,
    "GetDefaultEntity": viewer,
    "ServerInfo": server_info,
    "ServerFeaturesQuery": server_info,
    "OrganizationCoreWeaveOrganizationID": lambda *_: {"entity": {"organization": {"coreWeaveOrganizationId": None}}},
    "RunResumeStatus": resume_status,
    "UpsertBucket": begin_run,
    "CreateRunFiles": upload_addresses,
    "CreateArtifact": create_artifact,
    "CreateArtifactManifest": artifact_manifest,
    "CreateArtifactFiles": artifact_files,
    "CommitArtifact": commit_artifact,
    "ArtifactType": lambda *_: {"project": None},  # no such artifact yet
    "UseArtifact": lambda *_: {"useArtifact": {"artifact": {"id": "A"}}},
    "GetProjects": projects,
    "ProjectInternalId": lambda _, variables: {"project": project(variables["projectName"])},
    "CreateProject": create_project,
    "upsertView": save_view,
    "UpsertView2": save_view,
    "View": find_views,
    "ProjectViews": find_views,
    "UpsertSweep": save_sweep,
    "SweepWithRuns": find_sweep,
    "CreateAgent": lambda *_: {"createAgent": {"agent": {"id": "agent"}}},
    "Heartbeat": heartbeat,
}

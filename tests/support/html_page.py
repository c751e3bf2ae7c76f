"""An HTML page taken apart for tests."""

import re
from html.parser import HTMLParser


class Page(HTMLParser):
    """The tags and the text of a page, which must be well nested, link to itself alone and load nothing."""

    VOID = frozenset({"meta", "br", "link", "img"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        assert self.open == []
        self.ids = [a["id"] for _, a in self.tags if "id" in a]
        assert len(self.ids) == len(set(self.ids))
        assert {f"#{i}" for i in self.ids} >= {a["href"] for tag, a in self.tags if tag == "a"}
        assert not re.search(r'(?:src|href)="https?:|@import|url\("?http', html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def count(self, tag: str) -> int:
        return sum(t == tag for t, _ in self.tags)

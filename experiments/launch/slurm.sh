#!/bin/bash
# One run on several machines of a SLURM cluster: a template. Copy it, change the lines marked <-, then
#
#     sbatch my-job.sh -c experiments/configs/bleu/paper/common.yaml -c experiments/configs/bleu/paper/transformer.yaml \
#         --run.suite paper --run.experiment bleu --run.task wmt14-en-de --run.model transformer
#
# All machines must see this folder, the data and the run store under the same path. The report is made afterwards, on
# any machine: make report SUITE=paper.

#SBATCH --job-name=bleu                # "bash" and "interactive" are names that Lightning takes for a terminal
#SBATCH --nodes=2                      # <- machines
#SBATCH --ntasks-per-node=4            # <- processes on each: one for each GPU
#SBATCH --gpus-per-node=4              # <- the same number; your cluster may want --gres=gpu:4
#SBATCH --cpus-per-task=8              # <- cores for each process
#SBATCH --time=12:00:00                # <- when it is over the job is queued again and the run resumes
#SBATCH --signal=TERM@180              # to every process, so many seconds before: it finishes its step and saves
#SBATCH --open-mode=append
#SBATCH --output=slurm-%j.log
#SBATCH --requeue

export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}
export DATA_DIR=${DATA_DIR:-data}      # <- folder of the corpora; paper: see its common.yaml
export WANDB_MODE=${WANDB_MODE:-offline} # compute nodes often have no network: make sync later, where there is one

srun --kill-on-bad-exit=1 .venv/bin/python -m experiments.run "$@" \
    --trainer.accelerator=gpu --trainer.devices="$SLURM_NTASKS_PER_NODE" --trainer.num_nodes="$SLURM_NNODES"
code=$?

# 143: ended by a signal, with its last step saved. Every other code is final: 0, or what failure.json says.
if [ "$code" = 143 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"

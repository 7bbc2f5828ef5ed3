"""What can go wrong from outside, each as a function that does it to a sandbox and looks."""

from collections.abc import Callable

from benchmarks.faults import files, kills, others
from benchmarks.faults.trial import Trial

FAULTS: dict[str, Callable[[Trial], str]] = {
    fault.__name__: fault
    for fault in (
        kills.kill_flow,
        kills.kill_stage,
        kills.kill_worker,
        kills.interrupt_once,
        kills.interrupt_twice,
        files.checkpoint_truncated,
        files.checkpoint_flipped,
        others.two_users,
        others.mlflow_locked,
        others.mlflow_deleted,
        others.mlflow_corrupt,
        others.mlflow_locked_in_mid_run,
        others.mlflow_corrupted_in_mid_run,
        files.dvc_locks_left,
        others.prefect_stopped,
        others.clock_jumps,
        files.disk_full,
    )
}

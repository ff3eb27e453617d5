"""A study: the whole way from a system to a labelled tree, over a scan, saved as it goes."""

from statphys_flows.study.concat import concat
from statphys_flows.study.execution.progress import Progress
from statphys_flows.study.executors.dask import Dask
from statphys_flows.study.executors.executor import Executor, Processes
from statphys_flows.study.from_samples import from_samples
from statphys_flows.study.run_study import run_study
from statphys_flows.study.shared import merge, run_part
from statphys_flows.study.sizes import run_size_study
from statphys_flows.study.study import Study

__all__ = [
    "Dask",
    "Executor",
    "Processes",
    "Progress",
    "Study",
    "concat",
    "from_samples",
    "merge",
    "run_part",
    "run_size_study",
    "run_study",
]

"""A study: the whole way from a system to a labelled tree, over a scan, saved as it goes."""

from statphys_flows.study.concat import concat
from statphys_flows.study.execution.progress import Progress
from statphys_flows.study.sizes import run_size_study
from statphys_flows.study.study import Study, run_study

__all__ = ["Progress", "Study", "concat", "run_size_study", "run_study"]

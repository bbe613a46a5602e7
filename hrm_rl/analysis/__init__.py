"""How a model thinks: measurements, figures, one HTML report."""

from typing import TYPE_CHECKING

from hrm_rl.utils.faces import lazily

if TYPE_CHECKING:
    from hrm_rl.analysis.report import write_report
    from hrm_rl.analysis.study import Study, conduct

__all__ = ["Study", "conduct", "write_report"]

__getattr__ = lazily(
    __name__,
    {"Study": "study", "conduct": "study", "write_report": "report"},
)

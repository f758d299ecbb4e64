"""The report of a run as one offline HTML file, in English or Japanese.

Reads the artifacts of a run folder and nothing else; never imports torch. Entry: `write.py`.
"""

from sparsepath.report.write import write_report

__all__ = ["write_report"]

"""Reports: one self-contained HTML file, verdict first."""

"""The package in a browser.

Nothing here trains: what is shown comes from the generators, the reports and the run
folders that the command line uses, too. Gradio lives in `pages` and `server`; the other
modules know nothing of it.
"""

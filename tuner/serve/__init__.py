"""The live page: the runs of a folder or a bucket in the browser, each while it runs; nothing here changes a run."""

from tuner.serve.command import run as run

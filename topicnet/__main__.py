"""Entry point of `python -m topicnet`, the same command line as `topicnet`."""

from topicnet.cli import main

main()

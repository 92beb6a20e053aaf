"""`python -m topicnet`."""

from topicnet.cli import main

main()

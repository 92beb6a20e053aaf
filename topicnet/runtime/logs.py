"""Loggers of the package, under "topicnet"; silent unless the application configures logging."""

import logging

logging.getLogger("topicnet").addHandler(logging.NullHandler())
notices = logging.getLogger("topicnet.notices")
training = logging.getLogger("topicnet.training")
command_line = logging.getLogger("topicnet.cli")

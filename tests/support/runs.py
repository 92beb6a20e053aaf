"""Run and counts folders made without a fit."""

import json
from collections.abc import Mapping
from pathlib import Path

from topicnet.storage.formats import with_own_checksum
from topicnet.storage.run_folder import write_record
from topicnet.text.corpus import Corpus
from topicnet.text.tokens.options import TextOptions
from topicnet.text.vocabulary import Pruning

RECORD = {"status": "complete", "versions": {"topicnet": "0.1.0"}, "config": {}}


def write_run(folder: Path, files: Mapping[str, str], *, version_0_1_0: bool = False) -> None:
    """Write a run with these files and a record; the record of 0.1.0 has no checksum."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    write_record(folder, RECORD)
    if version_0_1_0:
        record = json.loads((folder / "run.json").read_text())
        (folder / "run.json").write_text(json.dumps({key: record[key] for key in record if key != "checksum"}))


def write_counts(folder: Path, *, version_0_1_0: bool = False) -> None:
    """Write counts of two documents; the header of 0.1.0 has no list of files and no checksum."""
    options = TextOptions(pruning=Pruning(min_df=1, max_df=1.0))
    Corpus.from_texts(["cats and dogs", "dogs and birds"], options=options).save(folder)
    if version_0_1_0:
        header = json.loads((folder / "counts.json").read_text())
        kept = {key: header[key] for key in header if key not in ("checksum", "files")}
        (folder / "counts.json").write_text(json.dumps(kept))


def edit_record(path: Path, **changes: object) -> None:
    """Change entries of a record and update its checksum."""
    path.write_text(json.dumps(with_own_checksum(json.loads(path.read_text()) | changes)))

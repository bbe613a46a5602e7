"""`hrm-rl dataset`: make a folder of puzzles from a generator, a CSV file or the hub, or check one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field
from rich.console import Console
from rich.table import Column, Table

from envs import TASKS, PuzzleTask, ReportProgress, make_task
from envs.folders.check import FolderSummary, check_folder
from envs.folders.folder import PuzzleFolder, find_splits
from envs.folders.metadata import METADATA_FILE, Metadata, encoding_of, read_metadata
from envs.folders.rows import PuzzleFile
from envs.folders.writer import refuse_existing
from hrm_rl.cli.flags.common import parse
from hrm_rl.cli.flags.resuming import retyped
from hrm_rl.config import Options, PathText, Positive, Section, Seed, parse_weights
from hrm_rl.data import builder
from hrm_rl.data.leaks import Keys, twins
from hrm_rl.utils import hub
from hrm_rl.utils.console import print_whole, shown_path, slow_work, typed_command
from hrm_rl.utils.errors import UserError


class DatasetCommand(Section):
    """Make or check a folder of puzzles to train on.

    The folder has the format of sapientinc/HRM and is for --data.path of `train`. Puzzles come from the
    task's generator (--level), the task's own data (--whole), a CSV file (--csv) or the Hugging Face hub
    (--hub); --check DIR validates a folder instead. Test puzzles are never augmented, and no symmetric
    version of one is trained on."""

    task: str | None = None
    """Name of the task, as in envs.TASKS. With --check, found out if not given."""
    size: Positive | None = None
    """Edge of the board; the task's own default if not given. With --check, found out."""
    options: Options = Field(default_factory=dict)
    """Further options of the task, as `name value` pairs."""
    out: PathText | None = None
    """Folder to write; it must not exist yet."""
    level: str | None = None
    """Generate puzzles of this level, or of several by weight, as in easy=0.7,hard=0.3."""
    puzzles: Positive | None = None
    """Training puzzles to generate (1000)."""
    test_puzzles: Annotated[int | None, Field(ge=0)] = None
    """Test puzzles: to generate (a tenth of --puzzles), to take at random from the test file (all), or to
    hold out of --csv (a tenth, at most 1000). 0 writes no test split."""
    whole: bool = False
    """Write all the data that the task comes with, with its identities (ARC: all pairs in all forms)."""
    csv: PathText | None = None
    """CSV file of training puzzles, columns question,answer or puzzle,solution; .gz is fine."""
    test_csv: PathText | None = None
    """CSV file of test puzzles."""
    hub: str | None = None
    """Data set on the Hugging Face hub, OWNER/NAME: its train.csv and, if it has one, its test.csv."""
    subsample: Positive | None = None
    """Take only so many training puzzles of the file, at random."""
    min_rating: float | None = None
    """Take only puzzles of the files whose column `rating` is at least this."""
    num_aug: Annotated[int, Field(ge=0)] = 0
    """Further symmetric versions of each training puzzle, all different (of a maze there are 7)."""
    seed: Seed = 0
    """Seed of everything random; the same arguments give the same folder bit for bit."""
    check: PathText | None = None
    """Check this folder, a split or a root with train/ and perhaps test/ and val/, example by example, and
    write nothing."""


def main(args: Sequence[str]) -> int:
    """Run the command. Returns the exit status; raises UserError."""
    command = parse(DatasetCommand(), args, "dataset")
    try:
        if command.check is not None:
            _check(command, Path(command.check))
        else:
            _build(command)
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        raise UserError(f"cannot read or write{where}: {error.strerror or error}") from None
    return 0


def _build(command: DatasetCommand) -> None:
    task = _wanted_task(command)
    if command.out is None:
        raise UserError(
            f"say where to write: {typed_command('dataset')} --task {command.task} --out data/NAME ..."
        )
    out = Path(command.out)
    refuse_existing(out)  # before the work, not only after it
    _refuse_contradictions(command)
    if command.whole:
        _write_whole(command, task, out)
        return
    with slow_work() as progress:
        base = (
            _generated(command, task, progress)
            if command.level is not None
            else _from_files(command, task, progress)
        )
        examples = builder.write(task, base, command.num_aug, command.seed, out, progress)
    console = Console(highlight=False, soft_wrap=True)
    for note in base.notes:
        console.print(note)
    console.print(
        f"wrote {shown_path(out)}: train {examples:,} examples of {len(base.train):,} puzzles, test "
        f"{len(base.test):,} puzzles"
    )
    if examples < len(base.train) * (command.num_aug + 1):
        console.print(f"some puzzles have fewer than {command.num_aug} different symmetric versions")
    console.print(f"train on it: {_training_command(command, out)}")


def _write_whole(command: DatasetCommand, task: PuzzleTask, out: Path) -> None:
    collection = task.collection(command.seed)
    if collection is None:
        raise UserError(f"task '{task.name}' makes its puzzles and comes with none: use --level, not --whole")
    with slow_work() as progress:
        builder.write_collection(collection, task, out, progress)
    console = Console(highlight=False, soft_wrap=True)
    for remark in task.remarks:
        console.print(remark)
    train, test = (PuzzleFolder(out / name, task) for name in ("train", "test"))
    console.print(
        f"wrote {shown_path(out)}: train {len(train):,} examples, test {len(test):,} examples, "
        f"{task.identifiers:,} identities"
    )
    console.print(f"train on it: {_training_command(command, out)}")


def _wanted_task(command: DatasetCommand) -> PuzzleTask:
    if command.task is None:
        raise UserError(f"say which task: --task {' or --task '.join(TASKS)} (--help lists all flags)")
    return _make_task(command.task, command.size, command.options)


def _make_task(name: str, size: int | None, options: dict[str, int | float | bool | str]) -> PuzzleTask:
    given = options if size is None else {**options, "size": size}
    try:
        return make_task(name, **given)
    except (ValueError, TypeError) as error:
        raise UserError(f"{error} (--task, --size, --options)") from None


def _refuse_contradictions(command: DatasetCommand) -> None:
    """Raise UserError for flags that do not go together."""
    whole = command.whole or None
    origins = {"--level": command.level, "--whole": whole, "--csv": command.csv, "--hub": command.hub}
    given = [flag for flag, value in origins.items() if value is not None]
    if len(given) != 1:
        raise UserError(
            "say where the puzzles come from with one of --level LEVEL (generated), --whole (all that the "
            "task has), --csv FILE and --hub OWNER/NAME"
            f"{'' if not given else '; not with ' + ' and '.join(given)}"
        )
    of_files: dict[str, object] = {"--subsample": command.subsample, "--min-rating": command.min_rating}
    of_csv: dict[str, object] = {"--test-csv": command.test_csv}
    of_generator: dict[str, object] = {"--puzzles": command.puzzles}
    counted: dict[str, object] = {
        "--test-puzzles": command.test_puzzles,
        "--num-aug": command.num_aug or None,
    }
    misfits = {
        "--level": of_files | of_csv,
        "--whole": of_files | of_csv | of_generator | counted,
        "--csv": of_generator,
        "--hub": of_generator | of_csv,
    }[given[0]]
    for flag, value in misfits.items():
        if value is not None:
            instead = {
                "--puzzles": "--subsample",
                "--subsample": "--puzzles",
                "--num-aug": "--options augmentations N",
            }
            if given[0] == "--whole":
                instead = {"--num-aug": instead["--num-aug"]}
            advice = f": use {instead[flag]}" if flag in instead else ""
            raise UserError(f"{flag} does not go with {given[0]}{advice}")
    if command.test_csv is not None and command.test_puzzles == 0:
        raise UserError("--test-csv with --test-puzzles 0 contradict each other: leave one out")


def _generated(command: DatasetCommand, task: PuzzleTask, progress: ReportProgress) -> builder.Base:
    assert command.level is not None
    weights = {command.level: 1.0}
    if "=" in command.level:
        try:
            weights = parse_weights(command.level)
        except ValueError as error:
            raise UserError(f"--level: {str(error).replace('stage', 'level', 1)}") from None
    for level in weights:
        task.level_index(level)
    puzzles = command.puzzles or 1000
    test_puzzles = puzzles // 10 if command.test_puzzles is None else command.test_puzzles
    return builder.generate(task, weights, puzzles, test_puzzles, command.seed, progress)


def _from_files(command: DatasetCommand, task: PuzzleTask, progress: ReportProgress) -> builder.Base:
    if command.hub is not None:
        train_path, test_path = _download(command.hub, wants_test=command.test_puzzles != 0)
    else:
        assert command.csv is not None
        train_path = Path(command.csv)
        test_path = None if command.test_csv is None else Path(command.test_csv)
    train = PuzzleFile(task, train_path, command.min_rating)
    test = None if test_path is None else PuzzleFile(task, test_path, command.min_rating)
    return builder.from_file(
        train, test, task, command.subsample, command.test_puzzles, command.seed, progress
    )


def _download(repository: str, wants_test: bool) -> tuple[Path, Path | None]:
    """train.csv and, where it is wanted and there is one, test.csv."""
    train = hub.download(repository, "train.csv")
    try:
        return train, hub.download(repository, "test.csv") if wants_test else None
    except hub.NotInRepository:
        return train, None


def _training_command(command: DatasetCommand, out: Path) -> str:
    words = ["--env.task", str(command.task)]
    if command.size is not None:
        words += ["--env.size", str(command.size)]
    if command.options:
        words += ["--env.options", *(str(word) for option in command.options.items() for word in option)]
    return retyped("train", [*words, "--data.path", shown_path(out), "--curriculum.stages", "all=1"])


def _check(command: DatasetCommand, path: Path) -> None:
    splits = find_splits(path)
    task = _task_of(command, splits.train)
    others = [split for split in (splits.val, splits.test) if split is not None]
    leaks: dict[str, int] = {}
    with slow_work() as progress:
        summaries = [check_folder(folder, task, progress) for folder in (splits.train, *others)]
        train = PuzzleFolder(splits.train, task)
        family = Keys.of(task, train).family if others else None
        for split in others:
            assert family is not None
            held_out = PuzzleFolder(split, task).take(slice(None))
            leaks[split.name] = int(twins(task, train, family, held_out)[1].sum())
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"{shown_path(path)} is sound: {task.name} of {task.grid_shape[0]} x {task.grid_shape[1]} cells"
    )
    print_whole(console, _table(summaries))
    for summary in summaries:
        if summary.ambiguous:
            console.print(
                f"{summary.path.name}: {summary.ambiguous:,} examples have several answers: any right one "
                "counts as solved, the label is one of them"
            )
        if leaks.get(summary.path.name):
            console.print(
                f"warning: {leaks[summary.path.name]:,} of the {summary.examples:,} {summary.path.name} "
                "puzzles also occur in the training set, up to symmetry; training refuses this folder unless "
                "you pass --data.leaks warn"
            )


def _table(summaries: list[FolderSummary]) -> Table:
    table = Table(
        "split", *[Column(name, justify="right") for name in ("examples", "puzzles", "groups")], "levels"
    )
    for summary in summaries:
        levels = ", ".join(f"{name} {count:,}" for name, count in summary.levels.items())
        numbers = (summary.examples, summary.puzzles, summary.groups)
        table.add_row(summary.path.name, *[f"{number:,}" for number in numbers], levels)
    return table


def _task_of(command: DatasetCommand, split: Path) -> PuzzleTask:
    """The task that the flags name, or the one task that fits what dataset.json says."""
    if command.task is not None and command.size is not None:
        return _make_task(command.task, command.size, command.options)
    metadata = read_metadata(split)
    names = list(TASKS) if command.task is None else [command.task]
    fitting = [task for name in names for task in _fitting(name, metadata, command)]
    if len(fitting) == 1:
        return fitting[0]
    if command.task is not None:
        return _make_task(
            command.task, None, command.options
        )  # opening the folder will say what does not fit
    found = f"seq_len {metadata.seq_len} and vocab_size {metadata.vocab_size}"
    fit = " or ".join(f"--task {task.name}" for task in fitting)
    if fitting:
        raise UserError(f"{split / METADATA_FILE}: {found} fit several tasks: name it with {fit}")
    raise UserError(
        f"{split / METADATA_FILE}: {found} fit none of the tasks {', '.join(TASKS)} in any size: for puzzles "
        "of another kind write a task of your own and name it with --task MODULE:CLASS"
    )


def _fitting(name: str, metadata: Metadata, command: DatasetCommand) -> Iterator[PuzzleTask]:
    """The task `name` in the size that its puzzles' length suggests, if it fits."""
    side = metadata.board or math.isqrt(metadata.seq_len)
    sizes = [command.size] if command.size is not None else [side, None]
    for size in sizes:
        try:
            task = _make_task(name, size, command.options)
        except UserError:
            continue
        # Puzzles that need an identity have one in a folder; nano-trm's boards need none.
        told = metadata.board is None and (metadata.num_puzzle_identifiers or 1) > 1
        if (task.identifiers == 1 or told) and encoding_of(metadata, task) is not None:
            yield task
            return

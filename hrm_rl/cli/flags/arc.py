"""The flags of `evaluate` that are about ARC, and what they ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from envs import PuzzleBatch, PuzzleTask
from envs.arc.task import ArcTask
from hrm_rl.agents.act.stopping import Stopping
from hrm_rl.cli.flags.writing import refuse_file
from hrm_rl.config import PathText, Section
from hrm_rl.evaluation.arc.asking import ArcVotes, ask
from hrm_rl.evaluation.arc.notes import notes_of
from hrm_rl.evaluation.arc.page import by_task, write_up
from hrm_rl.evaluation.arc.questions import questions_of
from hrm_rl.evaluation.arc.report import ArcReport
from hrm_rl.evaluation.arc.submission import read_submission, submission_of, write_submission
from hrm_rl.evaluation.votes import Asker, sizes
from hrm_rl.runs.loading import LoadedModel
from hrm_rl.utils.console import progress_bar
from hrm_rl.utils.errors import UserError
from hrm_rl.utils.files import write_atomically

FORMS = 8
"""Of each test grid, if --vote does not say how many: as it is and in seven others."""


class ArcFlags(Section):
    """Flags that are about ARC alone."""

    test_grids: bool = False
    """ARC: evaluate on the published test grids of all evaluation tasks."""
    blank: bool = True
    """ARC: ask also with the blank identifier, to see what the identifiers are worth."""
    submission: PathText | None = None
    """ARC: JSON file to write two attempts at each test grid to, in the format of ARC Prize."""
    page: PathText | None = None
    """ARC: HTML file to show every task in, with its demonstrations and both attempts."""
    pictures: PathText | None = None
    """ARC: folder for a PNG of each task, with the same."""

    def given(self) -> list[str]:
        """The flags that say something."""
        named = {"--submission": self.submission, "--page": self.page, "--pictures": self.pictures}
        return [
            *(["--test-grids"] if self.test_grids else []),
            *([] if self.blank else ["--no-blank"]),
            *(flag for flag, value in named.items() if value is not None),
        ]

    def refuse_contradictions(self, elsewhere: Mapping[str, bool], others: Mapping[str, bool]) -> None:
        """Refuse flags that say nothing together, and files that cannot be written. elsewhere: what has no
        votes of one model to write, and whether it is meant. others: flags that name other puzzles, and
        whether they are given. Raises UserError."""
        for flag, given in others.items():
            if given and self.test_grids:
                raise UserError(f"--test-grids are the puzzles: leave out {flag}")
        refuse_file("--submission", self.submission, (".json",))
        refuse_file("--page", self.page, (".html",))
        if self.pictures is not None and Path(self.pictures).is_file():
            raise UserError(f"--pictures {self.pictures} is a file; it must be a folder")
        written = [flag for flag in self.given() if flag in ("--submission", "--page", "--pictures")]
        for what, meant in elsewhere.items():
            if meant and written:
                raise UserError(f"{written[0]} writes the votes of one model: leave it out with {what}")

    def refuse_for(self, task: PuzzleTask, forms: int | None) -> None:
        """Refuse these flags for another task, and more votes than there are forms with an identity. Raises
        UserError."""
        if not isinstance(task, ArcTask):
            if self.given():
                raise UserError(
                    f"{self.given()[0]} belongs to the task arc, not to {task.name}: leave it out"
                )
        elif forms is not None and forms > 1 + task.augmentations:
            most = 1 + task.augmentations
            raise UserError(
                f"--vote {forms}: the model knows {most} form{'s' * (most > 1)} of each ARC puzzle "
                f"(env.options augmentations={task.augmentations}): "
                + (f"at most --vote {most}" if most > 1 else "leave it out")
            )

    def published(self, task: PuzzleTask) -> PuzzleBatch | None:
        """The puzzles that --test-grids means, None without it. Raises UserError."""
        return task.tests() if self.test_grids and isinstance(task, ArcTask) else None

    def judge(
        self,
        model: LoadedModel,
        rule: Stopping,
        batch_size: int,
        puzzles: PuzzleBatch,
        forms: int | None,
        seed: int,
        hidden: bool,
    ) -> ArcReport | None:
        """The votes of a model on puzzles of ARC, None for those of another task and where none has an
        identity. forms: of each test grid. hidden: without progress bars."""
        task = model.task
        if not isinstance(task, ArcTask):
            return None
        questions, _ = questions_of(task, puzzles)
        if not questions:
            return None
        counted = sorted({1, *sizes(forms or min(FORMS, 1 + task.augmentations))})

        def votes(what: str, blank: bool) -> list[ArcVotes]:
            total = sum(len(task.augmentations_of(one.puzzle)[: counted[-1]]) for one in questions)
            with progress_bar(what, total, hidden) as progress:
                asker = Asker(model.solver, rule, batch_size, progress)
                return list(ask(asker, task, questions, counted, blank))

        told = hasattr(model.model, "puzzle_emb")
        notes = notes_of(task, model.config, questions)
        if not told:
            notes.append("the model has no puzzle embeddings: identifiers tell it nothing")
        own = votes("asking for votes", blank=False)
        others = votes("asking without identifiers", blank=True) if told and self.blank else []
        return ArcReport.of(task, own, others, counted, notes, seed)

    def write(self, report: ArcReport, title: str, facts: Sequence[str], hidden: bool) -> None:
        """The files that are asked for. Raises UserError."""
        for name, write in (
            (self.submission, self._write_submission),
            (self.page, lambda path, found: write_atomically(path, write_up(found, title, facts))),
            (self.pictures, lambda path, found: _draw(path, found, hidden)),
        ):
            try:
                if name is not None:
                    write(Path(name), report)
            except OSError as error:
                raise UserError(f"cannot write {name}: {error.strerror or error}") from None

    @staticmethod
    def _write_submission(path: Path, report: ArcReport) -> None:
        """Write it and read it back, as a judge would."""
        submission = submission_of(report.task.puzzles, report.votes)
        write_submission(path, submission)
        read_submission(path, {name: len(tests) for name, tests in submission.items()})


def _draw(folder: Path, report: ArcReport, hidden: bool) -> None:
    from hrm_rl.evaluation.arc.picture import write_pictures  # and matplotlib with it

    with progress_bar("drawing", len(by_task(report)), hidden) as progress:
        write_pictures(folder, report, progress)

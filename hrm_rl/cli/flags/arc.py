"""The flags of `evaluate` that are about ARC, and what they ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from envs import PuzzleBatch
from envs.arc.task import ArcTask
from envs.folders.folder import is_folder
from hrm_rl.agents.act.stopping import Stopping
from hrm_rl.cli.flags.writing import refuse_file
from hrm_rl.config import Config, PathText, Section
from hrm_rl.evaluation.arc.asking import ArcVotes, ask
from hrm_rl.evaluation.arc.choice import plain, published
from hrm_rl.evaluation.arc.notes import notes_of
from hrm_rl.evaluation.arc.page import write_up
from hrm_rl.evaluation.arc.questions import questions_of
from hrm_rl.evaluation.arc.report import ArcReport
from hrm_rl.evaluation.arc.roster import Roster
from hrm_rl.evaluation.arc.submission import read_submission, submission_of, write_submission
from hrm_rl.evaluation.puzzles import without_training_puzzles
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
        chosen = {"--test-grids": self.test_grids, "--no-blank": not self.blank}
        return [flag for flag, given in chosen.items() if given] + self._written()

    def _written(self) -> list[str]:
        """Those that name something to write."""
        named = {"--submission": self.submission, "--page": self.page, "--pictures": self.pictures}
        return [flag for flag, value in named.items() if value is not None]

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
        for what, meant in elsewhere.items():
            if meant and (written := self._written()):
                raise UserError(f"{written[0]} writes the votes of one model: leave it out with {what}")

    def refuse_for(self, model: LoadedModel, data: str | None, forms: int | None) -> None:
        """Refuse these flags for a model of another task, and more votes than there are forms with an
        identifier. data: --data. Raises UserError."""
        task = model.task
        if not isinstance(task, ArcTask):
            if self.given():
                raise UserError(
                    f"{self.given()[0]} belongs to the task arc, not to {task.name}: leave it out"
                )
        elif forms is not None and forms > (most := _roster(task, data, model.config).most):
            advice = f"at most --vote {most}" if most > 1 else "leave it out"
            raise UserError(
                f"--vote {forms}: the model knows {most} form{'s' * (most > 1)} of each ARC puzzle "
                f"(augmentations of its env.options or its data): {advice}"
            )

    def puzzles_of(self, model: LoadedModel, data: str | None) -> PuzzleBatch | None:
        """The puzzles that --test-grids means, or those of a whole folder, given as `data`, that are as they
        are published, since votes ask about their forms anyway; None where neither is meant. Raises
        UserError."""
        task = model.task
        if not isinstance(task, ArcTask):
            return None
        roster = _roster(task, data, model.config)
        if self.test_grids:
            return published(roster)
        if data is None or not is_folder(data):
            return None
        return without_training_puzzles(plain(roster, Path(data)), model.config, task)

    def judge(
        self,
        model: LoadedModel,
        rule: Stopping,
        batch_size: int,
        puzzles: PuzzleBatch,
        data: str | None,
        forms: int | None,
        seed: int,
        hidden: bool,
    ) -> ArcReport | None:
        """The votes of a model on puzzles of ARC, None for those of another task and where none has an
        identity. data: --data. forms: of each test grid. hidden: without progress bars."""
        task = model.task
        if not isinstance(task, ArcTask):
            return None
        roster = _roster(task, data, model.config)
        questions, _ = questions_of(roster, puzzles)
        if not questions:
            if asked := [*(["--vote"] if forms else []), *self._written()]:
                raise UserError(
                    f"{asked[0]} needs puzzles with an identity, to ask for other forms of them, and none of "
                    "these has one: a column `identity` with names of tasks gives it"
                )
            return None
        counted = sorted({1, *sizes(forms or min(FORMS, roster.most))})

        def votes(what: str, blank: bool) -> list[ArcVotes]:
            total = sum(len(roster.forms(one.puzzle)[: counted[-1]]) for one in questions)
            with progress_bar(what, total, hidden) as progress:
                asker = Asker(model.solver, rule, batch_size, progress)
                return list(ask(asker, roster, questions, counted, blank))

        told = hasattr(model.model, "puzzle_emb")
        notes = notes_of(task, model.config, questions)
        if not told:
            notes.append("the model has no puzzle embeddings: identifiers tell it nothing")
        own = votes("asking for votes", blank=False)
        others = votes("asking without identifiers", blank=True) if told and self.blank else []
        return ArcReport.of(roster, own, others, counted, notes, seed)

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
        submission = submission_of(report.roster.task.puzzles, report.votes)
        write_submission(path, submission)
        read_submission(path, {name: len(tests) for name, tests in submission.items()})


def _draw(folder: Path, report: ArcReport, hidden: bool) -> None:
    from hrm_rl.evaluation.arc.picture import write_pictures  # and matplotlib with it

    with progress_bar("drawing", report.tasks, hidden) as progress:
        write_pictures(folder, report, progress)


def _roster(task: ArcTask, data: str | None, config: Config) -> Roster:
    """Of the folder to evaluate on, else of that which the run was trained on, else of the task. Raises
    UserError."""
    return Roster.of(task, data, config.data.path)

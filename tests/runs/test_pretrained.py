"""A run's model given to others: the folder, its card, what evaluate makes of it, and the hub."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from hrm_rl.cli import convert as convert_command
from hrm_rl.cli import evaluate as evaluate_command
from hrm_rl.cli import export as export_command
from hrm_rl.config import EnvConfig
from hrm_rl.data.curriculum import CurriculumState
from hrm_rl.export.run import without_paths
from hrm_rl.models import HRM, TRM, RecurrentModel
from hrm_rl.runs import checkpoint, selection
from hrm_rl.runs.checkpoint import TrainingState
from hrm_rl.training.local import LocalWorker
from hrm_rl.training.loop import Trainer
from hrm_rl.utils.errors import UserError
from tests.helpers.commands import evaluated
from tests.helpers.fake_hub import FakeServer, QuietHandler
from tests.helpers.fake_hub import run as run_with_hub
from tests.helpers.paths import ROOT
from tests.helpers.small_models import batch, small
from tests.helpers.tiny import puzzles, tiny_config, tiny_learner, write_csv

NETWORKS: dict[str, dict[str, Any]] = {
    "hrm": {},
    "learned": {"pos_encodings": "learned", "puzzle_emb_ndim": 20},
    "axial": {"pos_encodings": "axial", "prefix": "cls"},
    "trm": {
        "name": "trm",
        "mixer": "mlp",
        "pos_encodings": "none",
        "puzzle_emb_ndim": 16,
        "puzzle_emb_len": 3,
    },
    "transformer": {"name": "transformer", "num_kv_heads": 1, "dropout": 0.1},
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_loaded_network_thinks_as_the_saved_one_bit_for_bit(name: str, tmp_path: Path) -> None:
    model = small(**NETWORKS[name]).eval()
    if "puzzle_emb_ndim" in NETWORKS[name]:
        model.puzzle_emb.weight.normal_()
    model.save_pretrained(tmp_path / "folder")
    loaded = RecurrentModel.from_pretrained(tmp_path / "folder").eval()
    assert loaded.config == model.config
    carry, other = model.initial_carry(3), loaded.initial_carry(3)
    with torch.no_grad():
        for _ in range(2):
            carry, logits, q = model(carry, *batch())
            other, other_logits, other_q = loaded(other, *batch())
    assert torch.equal(logits, other_logits)
    assert torch.equal(q, other_q)


def test_the_class_that_loads_is_the_class_that_was_saved(tmp_path: Path) -> None:
    small().save_pretrained(tmp_path / "f")
    assert isinstance(HRM.from_pretrained(tmp_path / "f"), HRM)
    with pytest.raises(UserError, match="holds a network 'HRM', not 'TRM'"):
        TRM.from_pretrained(tmp_path / "f")


def test_a_folder_that_is_no_network_is_refused_in_one_line(tmp_path: Path) -> None:
    def refused() -> str:
        with pytest.raises(UserError) as error:
            RecurrentModel.from_pretrained(tmp_path / "f")
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "no config.json" in refused()
    small().save_pretrained(tmp_path / "f")
    config = tmp_path / "f" / "config.json"
    values = json.loads(config.read_text())
    config.write_text("{")
    assert "cannot read" in refused()
    for change, part in (
        ({"format": "other"}, "not of this project"),
        ({"version": 99}, "of version 99"),
        ({"version": 1}, "of version 1, this code reads 2: make it again"),
        ({"model": {**values["model"], "hiden_size": 1}}, "model.hiden_size"),
        ({"vocab_size": None}, "does not describe a network"),
        ({"vocab_size": 9}, "size mismatch"),
    ):
        config.write_text(json.dumps({**values, **change}))
        assert part in refused()
    config.write_text(json.dumps(values))
    (tmp_path / "f" / "model.safetensors").write_bytes(b"x")
    assert "cannot load" in refused()


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "my-run"
    folder.mkdir()
    config = tiny_config(
        seed=3, train={"max_updates": 8, "eval_every": 4}, curriculum={"stages": ("easy=1,hard=1",)}
    )
    Trainer(config, LocalWorker(config, folder, lambda line: None)).run()
    return folder


@pytest.fixture(scope="module")
def exported(run_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exported") / "model"
    assert (
        export_command.main(
            ["--checkpoint", str(run_dir / "checkpoints" / "update-00000008"), "--out", str(out)]
        )
        == 0
    )
    return out


def test_evaluate_judges_the_folder_as_it_judges_the_checkpoint(
    run_dir: Path, exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(run_dir / "checkpoints" / "update-00000008")
    for args in ([], ["--level", "hard", "--puzzles", "10"]):
        own, theirs = (
            evaluated(capsys, "--checkpoint", path, *args),
            evaluated(capsys, "--checkpoint", str(exported), *args),
        )
        for key in ("update", "puzzles", "budget", "all", "levels"):
            assert own[key] == theirs[key], key


def test_a_folder_of_averaged_weights_has_no_raw_ones(exported: Path) -> None:
    with pytest.raises(UserError, match="holds ema weights only"):
        evaluate_command.main(["--checkpoint", str(exported), "--weights", "raw"])


def test_the_card_says_what_the_run_log_says(run_dir: Path, exported: Path) -> None:
    card = (exported / "README.md").read_text()
    assert "given cells" not in card
    records = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    (logged,) = [r for r in records if r["update"] == 8 and "eval/exact_accuracy" in r]
    for level, prefix in (("all", "eval"), ("easy", "eval/easy"), ("hard", "eval/hard")):
        exact, solved, cells = (
            logged[f"{prefix}/{n}"] for n in ("exact_accuracy", "solved", "cell_accuracy")
        )
        segments = logged[f"{prefix}/segments_mean"]
        assert f"| {level} | {exact:.1%} | {solved:.1%} | {cells:.1%} | {segments:.2f} |" in card
    state = json.loads((run_dir / "checkpoints" / "update-00000008" / "state.json").read_text())
    for part in (
        "hrm on sudoku of size 4", "run my-run, update-00000008", "easy=1,hard=1", "seed 3", "update 8 of 8",
        state["versions"]["commit"], "hidden_size: 16", "RecurrentModel.from_pretrained",
    ):  # fmt: skip
        assert part in card, part


def test_the_results_are_found_in_the_log_of_a_run_that_was_killed_while_it_wrote(
    run_dir: Path, exported: Path, tmp_path: Path
) -> None:
    killed = tmp_path / "my-run"
    shutil.copytree(run_dir, killed)
    with (killed / "metrics.jsonl").open("a") as file:
        file.write('{"update": 9, "train/lo')
    path = killed / "checkpoints" / "update-00000008"
    assert export_command.main(["--checkpoint", str(path), "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "README.md").read_text() == (exported / "README.md").read_text()


def test_a_network_trained_on_the_blanks_alone_says_so_to_whoever_gets_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny_config(
        model={"swiglu_multiple": 256}, train={"loss_on": "blanks"}, halting={"q_target": "halt_only"}
    )
    state = TrainingState(7, 0, 1, 0, CurriculumState(), config, None)
    path = checkpoint.save(tmp_path / "checkpoints", tiny_learner(config), state)
    renamed = path.rename(tmp_path / "best-ckpt")
    export_command.main(["--checkpoint", str(renamed), "--out", str(tmp_path / "out")])
    use = (tmp_path / "out" / "README.md").read_text().partition("## Use")[2].partition("## ")[0]
    assert "its logits for given cells mean nothing" in use
    for number, source in enumerate((renamed, tmp_path / "out")):
        capsys.readouterr()
        out = tmp_path / f"official-{number}"
        assert convert_command.main(["--from", str(source), "--to", "official", "--out", str(out)]) == 0
        assert {file.name for file in out.iterdir()} == {"step_7", "all_config.yaml"}
        blanks, rule = capsys.readouterr().err.splitlines()
        assert "train.loss_on blanks" in blanks
        assert "q_continue, which was never trained" in rule


def test_no_option_that_looks_like_a_path_is_given_away_be_the_file_there_or_not(tmp_path: Path) -> None:
    (tmp_path / "puzzles").touch()
    levels = ",".join(f"s{size}={size}:3-" for size in range(6, 60))
    assert len(levels) > 255, "longer than a file's name may be"
    options = {
        "catalogue": "/home/me/secret/17.txt", "windows": "D:\\secret", "beside": "17.txt",
        "there": str(tmp_path / "puzzles"), "levels": levels, "min_guesses": 3, "rule": "solved",
    }  # fmt: skip
    config = tiny_config().model_copy(update={"env": EnvConfig(options=options)})
    kept = without_paths(config).env.options
    assert kept == {"levels": levels, "min_guesses": 3, "rule": "solved"}


def test_weights_that_were_not_evaluated_get_no_results(run_dir: Path, tmp_path: Path) -> None:
    export_command.main(["--checkpoint", str(run_dir), "--out", str(tmp_path / "raw"), "--weights", "raw"])
    assert "None are recorded for these weights." in (tmp_path / "raw" / "README.md").read_text()
    path = selection.best(run_dir / "checkpoints")
    raw = RecurrentModel.from_pretrained(tmp_path / "raw")
    tensors = checkpoint._read_tensors(path / "model.safetensors")
    assert all(torch.equal(tensors[k], v) for k, v in raw.state_dict().items())


def test_the_folder_is_loaded_without_ray(exported: Path) -> None:
    code = (
        "import sys; from hrm_rl.models import RecurrentModel; "
        f"RecurrentModel.from_pretrained({str(exported)!r}); assert 'ray' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_the_folder_names_no_path_of_the_machine_and_asks_for_puzzles_that_it_does_not_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "secret").mkdir()
    path = write_csv(tmp_path / "secret" / "train.csv", puzzles(30))
    config = tiny_config(data={"path": str(path), "eval_puzzles": 4}, curriculum={"stages": ("all=1",)})
    folder = tmp_path / "r"
    folder.mkdir()
    Trainer(config, LocalWorker(config, folder, lambda line: None)).run()
    export_command.main(["--checkpoint", str(folder), "--out", str(tmp_path / "out")])
    for name in ("config.json", "README.md"):
        assert "secret" not in (tmp_path / "out" / name).read_text()
    with pytest.raises(UserError, match=r"does not hold the puzzles of its run \(train.csv\)"):
        evaluate_command.main(["--checkpoint", str(tmp_path / "out")])
    found = evaluated(capsys, "--checkpoint", str(tmp_path / "out"), "--level", "easy", "--puzzles", "6")
    assert found["all"]["puzzles"] == 6


@pytest.mark.parametrize(
    ("args", "part"),
    [
        ("", "say which model"),
        ("--checkpoint RUN", "say which model"),
        ("--checkpoint gone --out OUT", "gone holds no sound checkpoint"),
        ("--checkpoint RUN --out HERE", "exists already"),
        ("--out HERE --push o/n", "make it with scripts/export.py first"),
        ("--out EXPORTED --push name", "looks like OWNER/NAME"),
    ],
)
def test_mistakes_are_one_line(args: str, part: str, run_dir: Path, exported: Path, tmp_path: Path) -> None:
    (tmp_path / "HERE").mkdir()
    places = {
        "RUN": str(run_dir),
        "EXPORTED": str(exported),
        "HERE": str(tmp_path / "HERE"),
        "OUT": str(tmp_path / "OUT"),
    }
    with pytest.raises(UserError) as error:
        export_command.main([places.get(word, word) for word in args.split()])
    assert part in str(error.value)
    assert "\n" not in str(error.value)


class FakeModelHub(FakeServer):
    """Takes one upload and keeps the files of its commit, as the hub's API for models."""

    def __init__(self) -> None:
        self.created: list[dict[str, Any]] = []
        self.committed: dict[str, int] = {}
        self.token = "hf_right"
        hub = self

        class Handler(QuietHandler):
            def reply(self, status: int, values: Any) -> None:
                body = json.dumps(values).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def do_GET(self) -> None:
                self.reply(200, {"id": "o/n", "sha": "0" * 40, "siblings": [], "private": False})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                if self.headers.get("Authorization") != f"Bearer {hub.token}":
                    return self.reply(401, {"error": "Invalid username or password."})
                path = self.path.split("?")[0]
                if path == "/api/repos/create":
                    hub.created.append(json.loads(body))
                    return self.reply(200, {"url": f"{hub.url}/o/n", "name": "o/n"})
                if path == "/api/validate-yaml":
                    return self.reply(200, {"errors": [], "warnings": []})
                if path == "/api/models/o/n/preupload/main":
                    files = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                             for f in json.loads(body)["files"]]  # fmt: skip
                    return self.reply(200, {"files": files})
                if path == "/api/models/o/n/commit/main":
                    for line in body.decode().splitlines():
                        value = json.loads(line)
                        if value["key"] == "file":
                            hub.committed[value["value"]["path"]] = len(value["value"]["content"])
                    return self.reply(200, {"commitUrl": f"{hub.url}/o/n/commit/0", "commitOid": "0" * 40})
                return self.reply(404, {"error": path})

        super().__init__(Handler)


@pytest.fixture
def fake() -> Iterator[FakeModelHub]:
    fake = FakeModelHub()
    with fake.serving():
        yield fake


def test_the_folder_is_pushed_to_the_hub_and_a_refusal_is_one_line(
    fake: FakeModelHub, exported: Path, tmp_path: Path
) -> None:
    pytest.importorskip("huggingface_hub", reason="the extra hub is not installed")
    home = tmp_path / "home"
    home.mkdir()
    args = ["scripts/export.py", "--out", str(exported), "--push", "o/n", "--private"]
    done = run_with_hub(args, fake.url, home)
    assert done.returncode == 2
    assert "cannot push to 'o/n'" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr

    (home / "token").write_text(fake.token)
    done = run_with_hub(args, fake.url, home)
    assert done.returncode == 0, done.stderr
    assert f"pushed to {fake.url}/o/n" in done.stdout
    asked = fake.created[0]  # the package has had both names for it
    assert asked.get("private") is True or asked.get("visibility") == "private"
    assert set(fake.committed) == {"config.json", "model.safetensors", "README.md"}

"""An exported model to the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from hrm_rl.export.formats import RUNNER
from hrm_rl.export.report import REPORT
from hrm_rl.models.saving import CARD, CONFIG, WEIGHTS
from hrm_rl.runs.pretrained import is_pretrained
from hrm_rl.utils.console import typed_command
from hrm_rl.utils.errors import UserError


def push_to_hub(folder: Path, repository: str, private: bool = False) -> str:
    """Upload a folder to the model repository OWNER/NAME, made if need be. Returns its address.

    Uses the token of `hf auth login`. Raises UserError.
    """
    if not is_pretrained(folder):
        made = f"make it with {typed_command('export')} first"
        raise UserError(f"{folder} has no {CONFIG} and {WEIGHTS}: {made}")
    if repository.count("/") != 1:
        raise UserError(f"'{repository}' is no name of a model on the hub: it looks like OWNER/NAME")
    try:
        from huggingface_hub import HfApi
    except ImportError:
        raise UserError("pushing needs the package huggingface_hub: pip install 'hrm-rl[hub]'") from None
    api = HfApi()
    try:
        address = api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            commit_message="Upload of hrm-rl",
            allow_patterns=[CONFIG, WEIGHTS, CARD, "segment.*", RUNNER, REPORT],
        )
    except Exception as error:  # its HTTP errors have no common base from one version to the next
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"cannot push to '{repository}': {first} (is there a token? hf auth login)") from None
    return str(address)

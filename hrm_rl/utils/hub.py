"""Files of data sets on the Hugging Face hub, through huggingface_hub, which is an optional extra.

It keeps what it downloads in its own cache and obeys its own environment variables (HF_HOME, HF_ENDPOINT,
HF_HUB_OFFLINE).
"""

from __future__ import annotations

from pathlib import Path

from hrm_rl.utils.errors import UserError


class NotInRepository(UserError):
    """The repository is there, the file is not."""


def download(repository: str, filename: str) -> Path:
    """The file `filename` of the data set `repository` (OWNER/NAME), from the cache or from the hub.

    Raises NotInRepository, and UserError for everything else that goes wrong.
    """
    try:
        from huggingface_hub import hf_hub_download, utils
    except ImportError:
        raise UserError(
            "--hub needs the package huggingface_hub: pip install 'hrm-rl[hub]' (in a checkout: pip install "
            "-e '.[hub]'), or download the CSV file yourself and give it with --csv"
        ) from None
    if repository.count("/") != 1:  # the package allows bare names, which are not what was meant
        raise UserError(f"'{repository}' is no name of a data set on the hub: it looks like OWNER/NAME")
    what = f"{filename} of the data set '{repository}'"
    try:
        return Path(hf_hub_download(repository, filename, repo_type="dataset"))
    except utils.HFValidationError:
        raise UserError(
            f"'{repository}' is no name of a data set on the hub: it looks like OWNER/NAME"
        ) from None
    except utils.GatedRepoError:
        raise UserError(
            f"the data set '{repository}' asks you to accept its terms first: do so on its page, then run hf "
            "auth login"
        ) from None
    except utils.RepositoryNotFoundError:
        raise UserError(
            f"the hub has no data set '{repository}', or it is private: check OWNER/NAME, or run hf auth "
            "login"
        ) from None
    except utils.LocalEntryNotFoundError:
        # Comes before its base class: it says that neither cache nor hub could give the file.
        raise UserError(
            f"cannot get {what}: the hub cannot be reached or does not answer, and the file is not in the "
            "cache; check the network, or download the file elsewhere and give it with --csv"
        ) from None
    except utils.EntryNotFoundError:
        raise NotInRepository(f"the data set '{repository}' has no file {filename}") from None
    except Exception as error:
        # The errors of the HTTP client below have no base class in common from one version to the next.
        raise UserError(f"cannot download {what}: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__

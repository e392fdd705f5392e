"""Local git repositories that stand in for a code host."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Host:
    """Every `https://HOST/…` that git is asked for is a directory below `root` instead."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "hooks").mkdir(parents=True)

    @property
    def extra_env(self) -> dict[str, str]:
        return {
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": f"url.file://{self.root.as_posix()}/.insteadOf",
            "GIT_CONFIG_VALUE_0": "https://",
            "GIT_CONFIG_KEY_1": "safe.directory",
            "GIT_CONFIG_VALUE_1": "*",
            "GIT_ALLOW_PROTOCOL": "https:ssh:file",
        }

    def commit(self, repo: str, files: dict[str, str], *tags: str) -> Path:
        """Commit `files` to the repository `github.com/acme/widget`, say, with these tags."""
        directory = self.root / repo
        if not directory.exists():
            directory.mkdir(parents=True)
            git(directory, "init", "-q", "-b", "main")
        for name, text in files.items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_text(text)
        git(directory, "add", ".")
        git(directory, "commit", "-q", "-m", "change")
        for tag in tags:
            git(directory, "tag", tag)
        return directory


def git(directory: Path, *arguments: str) -> None:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    env = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(directory), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", *who, *arguments], cwd=directory, env=env, check=True, capture_output=True)

"""`nox` runs what CI runs; `nox --list` shows what else there is."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv"
nox.options.error_on_external_run = True
nox.options.reuse_existing_virtualenvs = True

os.environ["UV_PYTHON_DOWNLOADS"] = "never"  # test what the machine has

ROOT = Path(__file__).parent
PATH = [Path(folder) for folder in os.environ["PATH"].split(os.pathsep) if folder]
PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
OLDEST = 11  # the minor of requires-python
ASK_VERSION = (
    "import platform, sys; v = sys.version_info;"
    "print('%s.%s %s %s' % (v[0], v[1], v[3], platform.python_implementation()))"
)


def runs(python: Path, version: str) -> bool:
    """Tell whether this file is such a released CPython: a shim may exist and fail."""
    try:
        answer = subprocess.run(
            [python, "-c", ASK_VERSION], capture_output=True, check=True, text=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return answer.stdout.split() == [version, "final", "CPython"]


def installed_pythons() -> list[str]:
    """
    Find every released CPython that the package supports, and put it within nox's reach.

    The PATH is asked first, then where pyenv and uv keep theirs.
    What is not there is left out, so that a machine with one Python tests on one.
    """
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR", Path.home() / ".local/share/uv/python"))
    kept = [*PYENV.glob("versions/3.*/bin"), *uv.glob("cpython-3.*/bin")]
    files = [file for folder in (*PATH, *kept) for file in folder.glob("python3.*")]
    minors = {int(m[1]) for file in files if (m := re.fullmatch(r"python3\.(\d+)", file.name))}
    found = []
    for minor in sorted(m for m in minors | {sys.version_info.minor} if m >= OLDEST):
        name = f"python3.{minor}"
        home = next((home for home in (*PATH, *kept) if runs(home / name, f"3.{minor}")), None)
        if home not in {None, *PATH}:
            os.environ["PATH"] = f"{home}{os.pathsep}{os.environ['PATH']}"
        if home or minor == sys.version_info.minor:
            found.append(f"3.{minor}")
    return found


PYTHONS = installed_pythons()
BETWEEN = PYTHONS[1:-1]
ENDS = sorted({PYTHONS[0], PYTHONS[-1]}, key=PYTHONS.index)

nox.options.sessions = [
    "lint",
    "typing",
    *(f"tests-{python}" for python in ENDS),
    *(f"tests_short-{python}" for python in BETWEEN),
    "tests_lowest",
    "coverage",
    "docs",
]


@cache
def wheel(python: str) -> str:
    """
    Build the wheel that would be published, once for each Python: the tests get this, not src.

    It is built from the source distribution, so that this is tested, too.
    """
    beside = Path(sys.executable).parent
    uv = shutil.which("uv", path=f"{beside}{os.pathsep}{os.environ['PATH']}") or "uv"
    folder = tempfile.mkdtemp(prefix="wsfleet-wheel-")
    built_by = (uv, "build", "--quiet", f"--python={python}", "--out-dir", folder, ROOT)
    subprocess.run(built_by, check=True)
    (built,) = Path(folder).glob("*.whl")
    return built.as_uri()


def install(session: nox.Session, *groups: str, resolution: str = "highest") -> None:
    """Install the wheel, what pyproject.toml says that it needs, and dependency groups."""
    chosen = [f"--group={group}" for group in groups]
    # uv calls direct what it is given, which what a wheel asks for is not.
    needed = ("--requirements=pyproject.toml", "--extra=cli", "--extra=testing")
    if resolution == "highest":
        needed += ("--extra=speed",)
    session.install(*needed, *chosen, f"--resolution={resolution}", "--upgrade")
    python = session.python if isinstance(session.python, str) else sys.executable
    session.install(f"wsfleet @ {wheel(python)}", "--no-deps", "--reinstall-package=wsfleet")


def run_tests(session: nox.Session, *only: str, **environment: str) -> None:
    """
    Run pytest and measure it, forgetting what an earlier run of this session measured.

    Args:
        session: the one.
        *only: what to run; what the session was given, or all, without it.
        **environment: variables.
    """
    data = f".coverage.{session.name}"
    for file in ROOT.glob(f"{data}.*"):
        file.unlink()
    environment["COVERAGE_FILE"] = data
    chosen = only or session.posargs
    session.run("coverage", "run", "-m", "pytest", *chosen, env=environment)


@nox.session
def lint(session: nox.Session) -> None:
    """Format, rules and floors; changes nothing (`ruff format` and `ruff check --fix` do)."""
    session.install("--group", "lint")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("lint-imports", env={"PYTHONPATH": "src"})


@nox.session
def typing(session: nox.Session) -> None:
    """Check the package, its tests and examples, and its users' view of it."""
    install(session, "typing")
    session.run("mypy", "src", "tests", "examples")
    session.run("basedpyright", "tests/typing")
    session.run("basedpyright", "--verifytypes", "wsfleet", "--ignoreexternal")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Test the wheel against the newest dependencies; `nox` alone: oldest and newest Python."""
    install(session, "tests")
    run_tests(session)


@nox.session(python=BETWEEN or PYTHONS[:1])
def tests_short(session: nox.Session) -> None:
    """Test the codec and the rules in virtual time, on the Pythons between those two."""
    install(session, "tests")
    run_tests(session, *(session.posargs or ["tests/unit", "tests/wire"]))


@nox.session(python=PYTHONS[0])
def tests_lowest(session: nox.Session) -> None:
    """
    Test the wheel against exactly the oldest dependencies that it promises to work with, and
    without whatever is there for speed alone.
    """
    install(session, "tests", resolution="lowest-direct")
    run_tests(session, WSFLEET_NO_EXTENSIONS="1")


@nox.session
def coverage(session: nox.Session) -> None:
    """Join what the tests measured; fail below the gate."""
    session.install("coverage[toml]")
    session.run("coverage", "combine")
    session.run("coverage", "report")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the pages, warnings being errors, and run the examples of docs and README."""
    install(session, "docs")
    quiet = {"NO_MKDOCS_2_WARNING": "1"}
    session.run("mkdocs", "build", "--strict", "--site-dir", session.create_tmp(), env=quiet)
    session.run("python", "-m", "pytest", "-p", "tests.docs.examples", "README.md", "docs")


AUDITED_TESTS = (
    "tests/real/test_planted_secrets.py",
    "tests/real/test_secrets.py",
    "tests/real/test_tracebacks.py",
    "tests/unit/recording/test_safe_file.py",
    "tests/wire/test_redact.py",
    "tests/wire/test_redirects.py",
)


@nox.session
def audit(session: nox.Session) -> None:
    """Look for known vulnerabilities of what is installed, unsafe code, and shown secrets."""
    install(session, "audit")
    session.run("ruff", "check", "--select=S", "--ignore=S101", "src")
    session.run("python", "-m", "pytest", *AUDITED_TESTS, *session.posargs)
    report = Path(session.create_tmp()) / "vulnerabilities.json"
    report.unlink(missing_ok=True)
    options = ("--progress-spinner=off", "--timeout=15", "--format=json", f"--output={report}")
    session.run("pip-audit", *options, success_codes=[0, 1])
    if not report.exists():  # the same exit code as for a vulnerability
        session.warn("skipped: the data of pip-audit cannot be reached from here (see above)")
        return
    found = json.loads(report.read_text())["dependencies"]
    vulnerable = [f"{each['name']} {each['version']}" for each in found if each.get("vulns")]
    if vulnerable:
        session.error(f"known vulnerabilities, see {report}: {', '.join(vulnerable)}")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure beside the peers, interleaved (`-- --quick` to see that it works)."""
    install(session, "bench")
    session.run("python", "-m", "benchmarks.run", *session.posargs)


def python27() -> Path | None:
    """Find a Python 2.7 where the others are."""
    folders = [*PATH, *PYENV.glob("versions/2.7*/bin")]
    files = [folder / "python2.7" for folder in folders]
    return next((file for file in files if runs(file, "2.7")), None)


def install_suite(session: nox.Session, python: Path) -> Path:
    """Install the Autobahn test suite, once; return the Python 2.7 that has it."""
    wanted = ROOT / "tests/autobahn/requirements.txt"
    home = session.cache_dir / "autobahn"
    suite = home / "bin/python"
    installed = home / "installed.txt"
    if not installed.exists() or installed.read_text() != wanted.read_text():
        session.install("virtualenv<20.22")  # the last that knows 2.7
        session.run("virtualenv", "--quiet", "--clear", f"--python={python}", str(home))
        pip = (str(suite), "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
        session.run(*pip, "--requirement", str(wanted), external=True)
        shutil.copy(wanted, installed)
    return suite


@nox.session
def autobahn(session: nox.Session) -> None:
    """Run the Autobahn test suite against the client (`-- --quick trio`: a part of it)."""
    python = python27()
    if python is None:
        session.skip("the Autobahn test suite needs a Python 2.7, and there is none")
    install(session, "tests")
    suite = install_suite(session, python)
    places = (f"--python27={suite}", f"--folder={session.create_tmp()}")
    session.run("python", "-m", "tests.autobahn", *places, *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Feed the codec with made-up bytes (`-- --seconds 600`; `-- --seed 7` repeats a run)."""
    install(session, "tests")
    session.run(
        "python", "-m", "tests.fuzz", f"--folder={session.create_tmp()}", *session.posargs
    )


@nox.session
def soak(session: nox.Session) -> None:
    """
    Keep a fleet busy over bad networks (`-- --seconds 600 --tls --loop uvloop`), or let it
    reconnect again and again (`-- --cycles --tls`).
    """
    install(session, "tests")
    session.run("python", "-m", "tests.soak", *session.posargs)


@nox.session
def chaos(session: nox.Session) -> None:
    """Account for every request while all fails (`-- --seed 7` repeats a run's faults)."""
    install(session, "tests")
    session.run("python", "-m", "tests.chaos", *session.posargs)


@nox.session
def faults(session: nox.Session) -> None:
    """Play each fault of the matrix (`-- --loop trio`; `-- --write` writes its page)."""
    install(session, "tests")
    session.run("python", "-m", "tests.faults", *session.posargs)

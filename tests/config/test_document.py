"""Reading an experiment file: lines, variables, overrides, and what is refused."""

from pathlib import Path

import pytest

from polytask.config.document import Document, read_document
from polytask.errors import ConfigError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(text: str | bytes, *overrides: str) -> Document:
    file = Path("service.yaml")
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_document(file, overrides)


def refusal(text: str | bytes, *overrides: str) -> str:
    with pytest.raises(ConfigError) as error:
        read(text, *overrides)
    return str(error.value)


def test_a_file_becomes_plain_data(folder: Path) -> None:
    document = read("train: {lr: 0.1, names: [a, '1']}\nnote:\non_nan: yes\n")

    assert document.data == {
        "train": {"lr": 0.1, "names": ["a", "1"]},
        "note": None,
        "on_nan": True,
    }


def test_every_value_knows_its_line(folder: Path) -> None:
    document = read("# service\ntrain:\n  lr: 0.1\n  steps:\n    - 1\n    - 2\n")

    assert document.where(("train",)) == "service.yaml:2"
    assert document.where(("train", "lr")) == "service.yaml:3"
    assert document.where(("train", "steps", 1)) == "service.yaml:6"


def test_an_absent_key_is_located_at_the_nearest_key_above(folder: Path) -> None:
    document = read("a: 1\ntrain:\n  lr: 0.1\n")

    assert document.where(("train", "seed", "x", 3)) == "service.yaml:2"
    assert document.where(("tasks",)) == "service.yaml:1"


def test_a_scalar_is_kept_as_it_was_written(folder: Path) -> None:
    document = read("a: 3e-5\nb: no\nc: 010\nd: '5'\ne: [1]\n")

    assert [document.written((key,)) for key in "abcde"] == ["3e-5", "no", "010", "5", None]
    assert document.written(("a", "b")) is None


def test_relative_paths_start_at_the_folder_of_the_file(folder: Path) -> None:
    assert read("a: 1").folder == folder


class TestVariables:
    def test_come_from_the_environment(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ROOT", "/data")

        assert read("a: ${ROOT}/x\nb: '${ABSENT:-none}'").data == {"a": "/data/x", "b": "none"}

    def test_outside_quotes_are_read_as_yaml(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LR", "0.5")

        assert read("a: ${LR}\nb: '${LR}'\nc: ${N:-3}").data == {"a": 0.5, "b": "0.5", "c": 3}

    def test_never_add_structure(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("X", "{a: [1]}\nb: !!python/object:os.system")

        assert read("a: ${X}").data == {"a": "{a: [1]}\nb: !!python/object:os.system"}

    def test_are_not_filled_in_twice(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("X", "${Y}")

        assert read("a: ${X}").data == {"a": "${Y}"}

    def test_are_escaped_by_a_second_dollar(self, folder: Path) -> None:
        assert read("a: $${X} costs $5 and $$").data == {"a": "${X} costs $5 and $$"}

    def test_that_are_not_set_are_faults_with_their_line(self, folder: Path) -> None:
        assert refusal("a: 1\nb: ${POLYTASK_NO}\nc: ${2}") == (
            "service.yaml:2: b: the environment variable POLYTASK_NO is not set. "
            "Set it, or write ${POLYTASK_NO:-default}.\n"
            "service.yaml:3: c: '${' starts no ${NAME} or ${NAME:-default}. "
            "For a plain '${' write '$${'."
        )


class TestOverrides:
    def test_replace_and_create_values(self, folder: Path) -> None:
        document = read(
            "train: {lr: 0.1}\ntasks: [{a: 1}, {a: 2}]\nempty:\n",
            "train.lr=0.0001",
            "tasks.1.a=[x, 'no']",
            "new.deep=true",
            "empty.x=",
            "new.text=a=b",
        )

        assert document.data == {
            "train": {"lr": 0.0001},
            "tasks": [{"a": 1}, {"a": ["x", "no"]}],
            "empty": {"x": None},
            "new": {"deep": True, "text": "a=b"},
        }

    def test_are_located_by_their_option(self, folder: Path) -> None:
        document = read("train: {lr: 0.1, seed: 1}", "train.lr=3e-5", "x={y: 1}")

        assert document.where(("train", "lr")) == "--set train.lr"
        assert document.written(("train", "lr")) == "3e-5"
        assert document.where(("x", "y")) == "--set x"
        assert document.where(("train", "seed")) == "service.yaml:1"

    @pytest.mark.parametrize(
        ("override", "message"),
        [
            ("train.lr", "--set train.lr: expected key=value, such as train.lr=0.001."),
            ("a..b=1", "--set a..b: expected key=value, such as train.lr=0.001."),
            ("=1", "--set : expected key=value, such as train.lr=0.001."),
            ("\udcff=1", "--set  : a text cannot hold half of a surrogate pair."),
            ("lr.x=1", "--set lr.x: lr is a number, not a section."),
            ("steps.2=1", "--set steps.2: steps is a list of 2; '2' is no index of it."),
            ("steps.x.y=1", "--set steps.x.y: steps is a list of 2; 'x' is no index of it."),
            ("a=[1", "--set a: not YAML: expected ',' or ']', but got '<stream end>'."),
            ("a={b: 1, b: 2}", "--set a: the key 'b' is written twice, first at --set a."),
            ("a=${POLYTASK_NO", "--set a: '${' starts no ${NAME} or ${NAME:-default}. "
             "For a plain '${' write '$${'."),
            (".".join("a" * 51) + "=1", f"--set {'a.' * 29}a…: more than 50 levels of nesting."),
        ],
    )  # fmt: skip
    def test_that_cannot_be_used_are_refused(
        self, folder: Path, override: str, message: str
    ) -> None:
        assert refusal("lr: 1\nsteps: [1, 2]", override) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "service.yaml:1: the file is empty."),
        (" \n\n", "service.yaml:1: the file is empty."),
        ("# nothing", "service.yaml:1: expected keys and values, such as 'tasks:'."),
        ("\n- 1", "service.yaml:2: expected keys and values, such as 'tasks:'."),
        ("a: 1\nb: \xff".encode("latin-1"), "service.yaml:2: not UTF-8: found the byte 0xff. "
         "Save it as UTF-8."),
        ("\ufeffa: 1", "service.yaml:1: starts with a byte-order mark. "
         "Save it as UTF-8 without one."),
        ("a: 1".encode("utf-16"), "service.yaml:1: starts with a byte-order mark. "
         "Save it as UTF-8 without one."),
        ("a: 1\nb: \x01", "service.yaml:2: not YAML: the character '\\x01' is not allowed."),
        ("a: 1\n\tb: 2", "service.yaml:2: not YAML: found character '\\t' that cannot start any "
         "token."),
        ("a: 1\nb: c: d", "service.yaml:2: not YAML: mapping values are not allowed here."),
        ("a: 1\n---\nb: 1", "service.yaml:2: not YAML: expected a single document in the stream, "
         "but found another document."),
        ("a: *b", "service.yaml:1: not YAML: found undefined alias 'b'."),
        ('a: "\\UFFFFFFFF"', "service.yaml:1: not YAML: an escape or a version number is out of "
         "range."),
        ("a: 1\nb: 2\na: 3", "service.yaml:3: the key 'a' is written twice, first at "
         "service.yaml:1."),
        ("a:\n  no: 1", "service.yaml:2: a: YAML does not read the key no as text. "
         "Put it in quotes: 'no'."),
        ("1: x", "service.yaml:1: YAML does not read the key 1 as text. Put it in quotes: '1'."),
        ("[a]: x", "service.yaml:1: a key must be text, not a list or a section."),
        ("a: &a {x: 1}\nb: {<<: *a}", "service.yaml:2: b: merge keys (<<) are not read. "
         "Write the keys out, or alias the whole section."),
        ("a: !!python/object/apply:os.system [ls]", "service.yaml:1: a: the tag "
         "!!python/object/apply:os.system is not read. Write the value without it."),
        ("a: !!str 1", "service.yaml:1: a: the tag !!str is not read. Write the value without it."),
        ("a: !x {}", "service.yaml:1: a: the tag !x is not read. Write the value without it."),
        ("!x a: 1", "service.yaml:1: the tag !x is not read. Write the key without it."),
        ('a: "\\0"', "service.yaml:1: a: a text cannot hold the character NUL."),
        ('a: "\\ud800"', "service.yaml:1: a: a text cannot hold half of a surrogate pair."),
        (f"a: {'1' * 101}", "service.yaml:1: a: a number of 101 characters is too long."),
        ("a: 0x_", "service.yaml:1: a: 0x_ is no number. Put it in quotes: '0x_'."),
        ("a: &a [*a]", "service.yaml:1: more than 50 levels of nesting."),
        (f"a: {'[' * 51}{']' * 51}", "service.yaml:1: more than 50 levels of nesting."),
        ("[" * 100_000, "service.yaml:1: not YAML: nested deeper than 50 levels."),
        (f"a: &a 1\nb: [{'*a,' * 101}]", "service.yaml:1: more than 100 aliases (*name)."),
        (f"a: &a [{'1,' * 2000}]\nb: [{'*a,' * 60}]", "service.yaml:1: more than 100,000 values "
         "once aliases are expanded."),
        ("#" * (2**20 + 1), "service.yaml:1: larger than 1 MiB. Is this an experiment file?"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_refused(
    folder: Path, text: str | bytes, message: str
) -> None:
    assert refusal(text) == message


def test_all_faults_are_told_in_the_order_of_the_file(folder: Path) -> None:
    assert refusal("a: !x 1\nb: {c: 1, c: 2}\nd: ${\n", "e").split("\n") == [
        "service.yaml:1: a: the tag !x is not read. Write the value without it.",
        "service.yaml:2: b: the key 'c' is written twice, first at service.yaml:2.",
        "service.yaml:3: d: '${' starts no ${NAME} or ${NAME:-default}. "
        "For a plain '${' write '$${'.",
        "--set e: expected key=value, such as train.lr=0.001.",
    ]


def test_many_faults_are_cut_after_a_hundred(folder: Path) -> None:
    message = refusal("\n".join(f"k{i}: !x 1" for i in range(120)))

    assert len(message.split("\n")) == 101
    assert message.endswith("\n… and 20 more.")


def test_aliases_are_expanded_in_place(folder: Path) -> None:
    document = read("a: &a {x: [1]}\nb: *a\n", "b.x.0=2")

    assert document.data == {"a": {"x": [1]}, "b": {"x": [2]}}


def test_an_absent_file_names_the_nearest_one(folder: Path) -> None:
    Path("service.yaml").touch()

    with pytest.raises(ConfigError) as error:
        read_document(Path("servise.yaml"))

    assert str(error.value) == (
        "servise.yaml: there is no such file. Did you mean 'service.yaml'? Known: service.yaml."
    )


def test_a_folder_is_no_experiment_file(folder: Path) -> None:
    with pytest.raises(ConfigError) as error:
        read_document(folder)

    assert str(error.value) == f"{folder}: cannot be read: Is a directory."


def test_aliases_of_long_sections_count_once_each(folder: Path) -> None:
    section = ", ".join(f"k{i}: {i}" for i in range(90))

    document = read(f"a: &a {{{section}}}\nb: *a\nc: *a\n")

    assert document.data["c"] == {f"k{i}": i for i in range(90)}

"""Segmenters: tokens cover the whole text, and the words can carry a topic."""

import importlib.util
import itertools
import os
import subprocess
import sys
import unicodedata

import polars as pl
import pytest

from topicnet.errors import InputError
from topicnet.text.tokens import segmenters
from topicnet.text.tokens.languages import stop_words
from topicnet.text.tokens.segmenters import SEGMENTERS, SUDACHI_CHARACTERS, load_segmenter, sentences

TEXTS = {
    "jieba": "中华女子学院：本科层次仅1专业招男生，iPhone降价三千元。\n我们在北京大学学习了两年！",
    "sudachi": "足利　尊氏は、鎌倉時代末期の武将。\n東京大学でＡＩを研究していました！",
    "kiwi": "이 영화는 정말 재미있었어요! 배우들의 연기가 훌륭하고 CG도 멋졌다.\n돈이 아깝지 않다",
}
WORDS = {
    "jieba": ["中华", "女子", "学院", "本科", "层次", "专业", "男生", "iPhone", "降价", "我们", "北京大学", "学习"],
    "sudachi": ["足利", "尊氏", "鎌倉", "時代", "末期", "武将", "東京", "大学", "AI", "研究"],
    "kiwi": ["영화", "재미있다", "배우", "연기", "훌륭하다", "CG", "멋지다", "돈", "아깝다"],
}
ODD = [
    "",
    " ",
    "\n",
    "\x00",
    "。",
    "😀",
    "a",
    "１２３",
    "ﷺ",
    "ㅋㅋㅋ",
    "ｶﾀｶﾅ",
    "e\u0301te\u0301",
    "\U00020000\U0002a6d6",
]


@pytest.mark.parametrize("kind", sorted(SEGMENTERS))
def test_words_that_carry_a_topic(kind: str) -> None:
    assert next(iter(load_segmenter(kind).words([TEXTS[kind]]))) == WORDS[kind]


@pytest.mark.parametrize("kind", ["jieba", "sudachi"])
@pytest.mark.parametrize("text", [*TEXTS.values(), *ODD])
def test_the_tokens_joined_are_the_text(kind: str, text: str) -> None:
    assert "".join(load_segmenter(kind).tokens(text)) == text


def test_korean_morphemes_are_in_their_full_spelling() -> None:
    assert load_segmenter("kiwi").tokens("영화를 보았다") == ["영화", "를", "보", "었", "다"]


@pytest.mark.parametrize("kind", sorted(SEGMENTERS))
def test_every_text_has_its_words(kind: str) -> None:
    texts = ["", *ODD, TEXTS[kind], "", TEXTS[kind]]
    found = list(load_segmenter(kind).words(texts))
    assert len(found) == len(texts)
    assert found[0] == found[-2] == []
    assert found[-1] == found[-3] == WORDS[kind]
    assert list(load_segmenter(kind).words([])) == []


@pytest.mark.parametrize(
    "text",
    ["第一 两年 三千万元 十多家 一百个 几天 数十亿美元 二十年 百分之五 三个月 上万人 首轮 半年", "这 是 了 的 吗 2024"],
)
def test_chinese_numbers_and_particles_are_not_words(text: str) -> None:
    cut = next(iter(load_segmenter("jieba").words([text])))
    assert sorted(set(cut) - set(stop_words("zh")) - {"首轮"}) == []


@pytest.mark.parametrize(
    "word", ["三星", "百度", "千里马", "四川", "三国", "百姓", "万科", "八卦", "九寨沟", "半导体", "十字架"]
)
def test_chinese_names_that_begin_as_numbers_do_are_words(word: str) -> None:
    assert not pl.Series([word]).str.contains(segmenters._CHINESE_NUMBER).any()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("走った。走ります。走らない", ["走る"] * 3),
        ("美しかった花が静かに咲いている", ["美しい", "花", "静か", "咲く"]),
        ("彼は三人の子供と五時に行くことになった", ["子供"]),
        ("この本はりんごについての本です", ["本", "りんご", "本"]),
        ("合衆国の社会学者", ["合衆国", "社会学"]),
    ],
)
def test_japanese_function_words_numbers_and_endings_are_not_words(text: str, expected: list[str]) -> None:
    dropped = set(stop_words("ja"))
    assert [word for word in next(iter(load_segmenter("sudachi").words([text]))) if word not in dropped] == expected


def test_japanese_spelling_variants_are_unified() -> None:
    text = "附属の付属。シュミレーションとシミュレーション"
    forms = [next(iter(load_segmenter("sudachi", normalize).words([text]))) for normalize in (False, True)]
    assert len(set(forms[0])) == 4
    assert len(set(forms[1])) == 2
    assert load_segmenter("sudachi", True).name == load_segmenter("sudachi").name + "+normalized-forms"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("공부하고 공부했다 공부를", ["공부"] * 3),
        ("들었다 듣는다 들으니", ["듣다"] * 3),
        ("지루하지만 지루했던 지루한", ["지루하다"] * 3),
        ("나는 너를 그리고 매우 세 개의", []),
        ("ㅋㅋㅋ ㅠㅠ ^^ 123 a", []),
    ],
)
def test_korean_endings_particles_and_numbers_are_not_words(text: str, expected: list[str]) -> None:
    assert next(iter(load_segmenter("kiwi").words([text]))) == expected


def test_a_long_japanese_text_is_split_at_sentence_ends() -> None:
    sentence = "東京大学の学生が人工知能を研究している。"
    text = sentence * 3_000  # 180,000 bytes; the segmenter accepts 49,149
    parts = list(sentences(text))
    assert "".join(parts) == text
    assert all(part.endswith("。") and len(part) <= SUDACHI_CHARACTERS for part in parts)
    segmenter = load_segmenter("sudachi")
    assert next(iter(segmenter.words([text]))) == next(iter(segmenter.words([sentence]))) * 3_000


@pytest.mark.parametrize("text", ["あ" * 60_000, "あ" * 60_000 + "。" + "い" * 20_000, "𠮷" * 30_000, "。" * 30_000])
def test_a_sentence_that_is_too_long_is_split(text: str) -> None:
    parts = list(sentences(text))
    assert "".join(parts) == text
    assert all(0 < len(part) <= SUDACHI_CHARACTERS for part in parts)


def test_a_very_long_word_is_accepted() -> None:
    assert "".join(load_segmenter("sudachi").tokens("𠮷" * 30_000)) == "𠮷" * 30_000


@pytest.mark.parametrize("kind", sorted(SEGMENTERS))
def test_the_name_has_the_versions(kind: str) -> None:
    name = load_segmenter(kind).name
    assert name.startswith(f"{kind}-")
    assert {"jieba": 1, "sudachi": 3, "kiwi": 3}[kind] == name.count("-")
    assert load_segmenter(kind) is load_segmenter(kind)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("jieba", "--lang zh needs jieba, which is not installed: pip install 'topicnet-neural[zh]'"),
        ("sudachi", "--lang ja needs SudachiPy, which is not installed: pip install 'topicnet-neural[ja]'"),
        ("kiwi", "--lang ko needs kiwipiepy, which is not installed: pip install 'topicnet-neural[ko]'"),
    ],
)
def test_a_missing_segmenter_is_named(monkeypatch: pytest.MonkeyPatch, kind: str, message: str) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError) as caught:
        load_segmenter.__wrapped__(kind)
    assert str(caught.value) == message


def test_a_missing_japanese_dictionary_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "sudachidict_core" else found(name))
    with pytest.raises(InputError, match=r"--lang ja needs sudachidict_core, .* 'topicnet-neural\[ja\]'"):
        load_segmenter.__wrapped__("sudachi")


def test_the_chinese_segmenter_writes_no_files_and_no_warnings(tmp_path) -> None:
    """With a read-only temporary folder, and with somebody else's cache in it."""
    (tmp_path / "jieba.cache").write_bytes(b"not a cache")
    before = sorted(tmp_path.iterdir())
    code = (
        "import warnings; warnings.simplefilter('error')\n"
        "from topicnet.text.tokens.segmenters import load_segmenter\n"
        "print(*next(iter(load_segmenter('jieba').words(['北京大学的学生']))))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        timeout=60,
        env=os.environ | {"TMPDIR": str(tmp_path), "PYTHONIOENCODING": "utf-8"},
    )
    assert found.stdout.decode() == "北京大学 学生\n"
    assert found.stderr == b""
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.data
def test_japanese_words_agree_with_gold_tokens(shared_data) -> None:
    table = pl.read_ndjson(shared_data / "wikipedia_ja_gold_tokens" / "wikipedia_ja.jsonl.gz").head(300)
    segmenter = load_segmenter("sudachi")
    agreeing = found = gold = 0
    for text, tokens in zip(table["text"], table["tokens"].to_list(), strict=True):
        cut = [token for token in ("".join(token.split()) for token in segmenter.tokens(text)) if token]
        assert "".join(cut) == "".join(tokens)
        ours, theirs = _spans(cut), _spans(tokens)
        agreeing, found, gold = agreeing + len(ours & theirs), found + len(ours), gold + len(theirs)
    assert 2 * agreeing / (found + gold) > 0.8


def _spans(tokens: list[str]) -> set[tuple[int, int]]:
    ends = [0]
    for token in tokens:
        ends.append(ends[-1] + len(token))
    return set(itertools.pairwise(ends))


def test_words_are_normalised_where_text_mixes_widths() -> None:
    words = next(iter(load_segmenter("sudachi").words(["ﾃﾚﾋﾞとテレビ"])))
    assert words == ["テレビ", "テレビ"]
    assert all(unicodedata.is_normalized("NFC", word) for word in words)

"""Language detection: short sentences suffice; mixed or uninformative corpora are refused."""

import polars as pl
import pytest

from topicnet.errors import InputError
from topicnet.text.tokens.language_detection import _COMMON, LOOKED_AT, Detection, _languages, detect_language

SENTENCES = {
    "en": ["The cat sat on the mat and looked at us.", "It was not what they had hoped for.", "Where have you been?"],
    "de": ["Der Hund schläft auf dem Sofa.", "Wir haben das nicht gewusst.", "Er ist mit dem Zug nach Köln gefahren."],
    "fr": ["Le chat dort sur la chaise.", "Nous avons mangé dans un restaurant.", "Il est parti avec son frère."],
    "es": ["El perro duerme en la calle.", "No sabemos lo que ha pasado.", "Los niños juegan con una pelota."],
    "it": [
        "Il cane dorme sul divano della nonna.",
        "Non so che cosa è successo.",
        "Abbiamo mangiato la pizza con gli amici.",
    ],
    "nl": ["De hond slaapt op het bed.", "Wij hebben dat niet geweten.", "Hij is met de trein naar huis gegaan."],
    "pt": [
        "O cão dorme na rua e não acorda.",
        "Não sabemos o que aconteceu com ela.",
        "Os meninos jogam com uma bola.",
    ],
    "ca": [
        "El gos dorm al carrer amb els nens.",
        "No sabem què ha passat amb ella.",
        "És un llibre molt bo per als joves.",
    ],
    "ru": [
        "Кот спит на диване и не хочет вставать.",
        "Мы не знали, что это было так.",
        "Он уехал домой, но она осталась.",
    ],
    "uk": [
        "Кіт спить на дивані і не хоче вставати.",
        "Ми не знали, що це було так.",
        "Він поїхав до міста, але вона ще тут.",
    ],
    "bg": [
        "Котката спи на дивана и не иска да става.",
        "Ние не знаехме, че това е така.",
        "Той замина за града, но тя остана.",
    ],
    "pl": [
        "Kot śpi na kanapie i nie chce wstać.",
        "Nie wiedzieliśmy, że to jest takie trudne.",
        "On jest w domu od rana.",
    ],
    "cs": [
        "Kočka spí na gauči a nechce se hýbat.",
        "Nevěděli jsme, že je to tak těžké.",
        "Byl jsem ve městě, ale už se vracím.",
    ],
    "sk": [
        "Mačka spí na gauči a nechce sa pohnúť.",
        "Nevedeli sme, že je to tak ťažké.",
        "Bol som v meste, ale už sa vraciam.",
    ],
    "da": [
        "Katten sover på sofaen og vil ikke op.",
        "Vi vidste ikke, hvad der var sket efter festen.",
        "Der var nogle af dem, men ikke mange.",
    ],
    "nb": [
        "Katten sover på sofaen og vil ikke opp.",
        "Vi visste ikke hva som var skjedd etter festen.",
        "Det var noen av dem, men ikke mange.",
    ],
    "sv": [
        "Katten sover på soffan och vill inte upp.",
        "Vi visste inte vad som hade hänt efter festen.",
        "Det var några av dem, men inte många.",
    ],
    "fi": [
        "Kissa nukkuu sohvalla eikä se halua nousta, mutta ei se mitään.",
        "Me emme tienneet, että se oli niin.",
        "Hän on kotona ja lukee.",
    ],
    "hu": [
        "A macska alszik és nem akar felkelni.",
        "Nem tudtuk, hogy ez így van.",
        "Az ember csak akkor él, ha már nem fél.",
    ],
    "ro": [
        "Pisica doarme pe canapea și nu vrea să se ridice din loc.",
        "Nu știam că este așa.",
        "El a plecat cu trenul în oraș.",
    ],
    "tr": [
        "Kedi bir koltukta uyuyor ve kalkmak için çok yorgun.",
        "Bu kadar zor olduğu değil, ne olduğu önemli.",
        "Ben de gibi düşünüyorum ama o değil.",
    ],
    "id": [
        "Kucing itu tidur di kursi dan tidak mau bangun karena sudah lelah.",
        "Kami tidak bisa datang karena hujan.",
        "Mereka sudah pulang dari kantor.",
    ],
    "vi": [
        "Con mèo đang ngủ trên ghế và không muốn dậy.",
        "Chúng tôi không biết những gì đã xảy ra.",
        "Đó là một cuốn sách rất hay cho các em.",
    ],
    "ar": ["القطة نائمة على الأريكة في البيت", "لم نكن نعرف أن هذا صعب", "ذهب إلى المدينة مع أخيه"],
    "fa": ["گربه در خانه است و از آن بیرون نمی رود", "ما این را می دانیم که او خوب است", "او با برادر خود به شهر رفت"],
    "el": ["Η γάτα κοιμάται στον καναπέ.", "Δεν ξέραμε τι έγινε.", "Πήγε στην πόλη."],
    "he": ["החתול ישן על הספה.", "לא ידענו מה קרה.", "הוא נסע העירה."],
    "hi": ["बिल्ली सोफे पर सो रही है।", "हमें पता नहीं था।", "वह शहर गया।"],
    "th": ["แมวนอนอยู่บนโซฟา", "เราไม่รู้ว่าเกิดอะไรขึ้น", "เขาไปในเมือง"],
    "zh": ["小猫在沙发上睡觉。", "我们不知道发生了什么事。", "iPhone 新品下周发布"],
    "ja": ["猫がソファで寝ています。", "何が起きたのか分からなかった。", "東京駅まで歩いた。"],
    "ko": ["고양이가 소파에서 자고 있어요.", "무슨 일이 있었는지 몰랐다.", "그는 도시로 갔다."],
}
SCRIPTS = {"ru": "Cyrillic", "uk": "Cyrillic", "bg": "Cyrillic", "ar": "Arabic", "fa": "Arabic", "el": "Greek"}
SCRIPTS |= {"he": "Hebrew", "hi": "Devanagari", "th": "Thai", "zh": "Han", "ja": "Kana", "ko": "Hangul"}


@pytest.mark.parametrize("lang", sorted(SENTENCES))
def test_short_sentences(lang: str) -> None:
    found_codes = [code for code, _ in _languages(pl.Series(SENTENCES[lang]))]
    assert set(found_codes) <= {lang, ""}
    assert found_codes.count(lang) >= 2
    found = detect_language(SENTENCES[lang])
    assert found == Detection(lang, 1.0, 3, SCRIPTS.get(lang, "Latin"), found_codes.count(lang))


def test_malay_and_indonesian_are_distinguished() -> None:
    assert (
        detect_language(["Kami tidak boleh datang kerana hujan, kata beliau.", "Wang itu ialah daripada awak."]).lang
        == "ms"
    )


def test_the_lists_of_all_languages_have_similar_lengths() -> None:
    sizes = {lang: len(set(words.split())) for lang, words in _COMMON.items()}
    assert min(sizes.values()) > 35
    assert max(sizes.values()) < 52


def test_the_line() -> None:
    assert detect_language(SENTENCES["de"]).line() == "language: de (100 % of 3 sampled documents agree)"
    assert Detection("de", 0.97, 1000, "Latin", 970).line() == "language: de (97 % of 1,000 sampled documents agree)"
    some = detect_language([*SENTENCES["de"], "12345", "Kaffee"])
    assert some.line() == "language: de (100 % of 3 recognised documents agree, of 5 sampled)"
    assert Detection("de", 996 / 1000, 1000, "Latin", 996).line().startswith("language: de (99 %")


def test_a_few_documents_in_another_language_do_not_matter() -> None:
    found = detect_language(SENTENCES["en"] * 10 + SENTENCES["fr"] + SENTENCES["zh"])
    assert found == Detection("en", 30 / 36, 36, "Latin", 30)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (SENTENCES["en"] + SENTENCES["fr"], "en 50 %, fr 50 % of 6 documents"),
        (SENTENCES["zh"] + SENTENCES["ko"], "ko 50 %, zh 50 % of 6"),
        (SENTENCES["ja"] + SENTENCES["de"] + SENTENCES["de"], "de 67 %, ja 33 % of 9"),
    ],
)
def test_mixed_corpora_are_refused(texts: list[str], said: str) -> None:
    with pytest.raises(InputError, match="several languages found") as caught:
        detect_language(texts)
    assert said in str(caught.value)
    assert "--lang" in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "texts",
    [[], [""], [" \n", None], ["1 2 3"], ["neural topic models", "support vector machines"], ["the"], ["გამარჯობა"]],
)
def test_uninformative_texts_are_refused(texts: list[str | None]) -> None:
    with pytest.raises(InputError, match=r"no language found: 0 of .* give --lang") as caught:
        detect_language(texts)
    assert str(caught.value).isprintable()


def test_japanese_titles_in_kanji_alone_are_not_chinese() -> None:
    assert detect_language([*SENTENCES["ja"], "東京都知事選挙", "日本銀行総裁"]) == Detection("ja", 1.0, 5, "Kana", 3)


def test_many_long_documents_are_sampled() -> None:
    texts = [""] * 500 + SENTENCES["it"] * 1_000 + ["x " * 50_000] * 10
    found = detect_language(texts)
    assert (found.lang, found.n_docs, found.share) == ("it", LOOKED_AT, 1.0)
    assert detect_language(texts) == found


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "lang"),
    [("imdb/test", "en"), ("zh_ntm/cnews10k_lines", "zh"), ("wikipedia_ja_gold_tokens/wikipedia_ja", "ja")],
)
def test_real_corpora(shared_data, name: str, lang: str) -> None:
    found = detect_language(pl.read_ndjson(shared_data / f"{name}.jsonl.gz")["text"].to_list())
    assert found.lang == lang
    assert found.share > 0.99

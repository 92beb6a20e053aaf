"""Stop words of each language, and the default tokenizer: runs of Unicode letters."""

from __future__ import annotations

import functools
import importlib.util
import runpy
from collections.abc import Callable
from pathlib import Path

import polars as pl
from stop_words import LANGUAGE_MAPPING, get_stop_words

from topicnet.errors import InputError

# Stored with every model. If a later version tokenises differently, the name has to change.
TOKENIZER = "unicode-letters-1"
TOKEN_PATTERN = r"(?:\p{L}\p{M}*){2,}"
# Characters that NFC may change. A text without any of them (Latin, Cyrillic and punctuation, without combining marks)
# can skip NFC, and searching for them takes a tenth of the time of NFC.
_UNSTABLE = r"[^\x{0}-\x{2ff}\x{400}-\x{482}\x{48a}-\x{52f}\x{2002}-\x{206f}]"
# Languages whose words are not separated by spaces, or carry particles and endings: a segmenter finds the words.
SEGMENTED = {"zh": "Chinese", "ja": "Japanese", "ko": "Korean"}
# Likewise, but topicnet has no segmenter for them.
NEED_SEGMENTER = {"th": "Thai"}
# Of the two public lists, one is a translation that includes computer terms (Netscape), and the other has 65 words.
NO_STOP_WORDS = {"gu": "Gujarati"}

# English function words, by class. Public lists for English also drop subject words ("computer", "fire", "bill",
# "system"), so topicnet has its own.
_ENGLISH = """
a an the this that these those
i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself she her hers
herself it its itself they them their theirs themselves one ones oneself
who whom whose which what whoever whatever whichever someone somebody something anyone anybody anything everyone
everybody everything nobody nothing none each every either neither both all any some such other others another
much many more most few fewer less least several own same enough
about above across after against along among amongst around as at before behind below beneath beside besides
between beyond by despite down during except for from in inside into like near of off on onto out outside over
per since through throughout till to toward towards under underneath until unto up upon via with within without
and but or nor so yet if then else than though although because while whereas whether unless however therefore
thus hence moreover furthermore otherwise nevertheless
am is are was were be been being do does did doing done have has had having can could may might must shall should
will would ought cannot
not no yes never ever always often sometimes usually again also already anyway almost even else here there where
when why how now just only quite rather really still too very well perhaps maybe indeed instead soon later once
twice away back ago actually basically certainly probably simply somewhat somewhere anywhere everywhere nowhere
together apart especially particularly mostly mainly merely nearly hardly yet wherever whenever
get gets got getting gotten go goes going gone went come comes came coming make makes made making take takes took
taken taking give gives gave given giving put puts say says said saying tell tells told see sees saw seen seeing
know knows knew known think thinks thought seem seems seemed want wants wanted let lets use uses used using try
tries tried trying keep keeps kept
mr mrs ms thing things lot lots way ways bit kind sort etc eg ie
first last next
re ve ll don didn doesn isn wasn weren aren couldn wouldn shouldn hasn haven hadn ain mustn needn shan mightn im ive
dont didnt doesnt isnt wasnt cant couldnt wouldnt thats theres youre
"""
# Source of a language's stop words, if it is not the stop-words package alone. We read both lists side by side.
# "both": each list lacks function words that the other has ("celle" and "lorsque" against "avez" and "eûmes";
# "ustedes" and "quizá" against the forms of "estuve"; inflected Russian pronouns against numerals); spaCy's Dutch and
# Romanian lists contain nearly all words of the other. "spacy": the stop-words package has lost letters of Arabic,
# Hungarian and Turkish, and its Greek is ancient Greek.
_SOURCES = dict.fromkeys(("de", "es", "fr", "it", "nl", "pt", "ro", "ru"), "both")
_SOURCES |= dict.fromkeys(("ar", "el", "hu", "tr"), "spacy")
# Function words that the public lists lack, above all the parts that tokenising leaves of elisions and clitics (l'on,
# dell'arte, fazê-lo).
_ADDED = {
    "ar": "في من على عن مع هذا هذه التي الذي كان كانت لم لن لا ما هو هي كل بعد قبل بعض غير عند حتى منذ",
    "ca": "als dels pels això aquest aquesta aquests aquestes",
    "de": "dass daß mal sowie bzw etwa doch eher sogar halt zwar zudem jeweils",
    "el": "ο η το οι τα του της των τον την και να με σε για από που δεν θα είναι ως στο στη στον στην στους στις στα",
    "es": "aunque sino mientras pues etc aún apenas cualquier cualquiera tal tales",
    "fr": "qu jusqu lorsqu puisqu quoiqu quelqu presqu aujourd hui ci là ça cette cet ces leur leurs lui elle elles ils"
    " on nous vous moi toi soi eux dont où donc car ni mais très peu plus moins aussi encore alors puis comme quand"
    " avoir être fait font peut doit va",
    "hu": "hogy nem van volt lesz egy és mint még már csak de is ha meg el ki be le fel ez az ezt azt vagy sem"
    " voltak lett lehet kell majd pedig mert így úgy ott itt aki ami amely",
    "it": "dell all nell sull dall coll quest quell un sant anch senz dov com cos tutt nient nessun qualcos cui né"
    " anche ancora già più però perché poiché così cioè essere avere fare",
    "nl": "wel toch dus maar eens bij zo daar hier",
    "pt": "lo la los las no na nos nas lho lha mo ma pra pro né ser ter estar ir fazer muito muita muitos muitas cada",
    "ro": "este sunt fost fi am ai au va vor ar acest această pe cu din la de în un o unei unui cel cea cei cele",
    "ru": "это этот эта эти этого этой этому этим этих который которая которые также лишь либо чтобы свой весь вся",
    "tr": "bir iki üç dört beş altı yedi sekiz dokuz on yüz bin milyon milyar ve da de ki bu şu ile için gibi çok daha"
    " en her ne ya veya ama değil olan olarak olduğu oldu kadar sonra önce ise mi mı mu mü",
}
# Subject words that the public lists contain; they are counted.
_SUBJECTS = {
    "de": "ag dasein mittel teil",
    "es": "estado estados trabajo trabaja trabajais trabajamos trabajan trabajar trabajas empleo"
    " fuerza intento valor vía acuerdo",
    "fr": "état états droite force forces mine mot nom parole personnes pièce sujet valeur gens",
    "it": "casa città consiglio governo gruppo ministro mondo nazionale paese titolo uomo gente registrazione press"
    " futuro forza luogo comprare vita marche",
    "nl": "prof publ",
    "pt": "estado estados grupo sistema área trabalho trabalhar verdade nível",
    "ru": "жизнь мира люди человек процентов томах",
}
# Chinese words of two or more characters that express grammar, order, quantity or reported speech.
_CHINESE = """
我们 你们 他们 她们 它们 咱们 自己 自身 本人 本身 人家 大家 别人 他人 有人 某人 各自 彼此 其他 其它 其余 其中 其实
这个 那个 这些 那些 这种 那种 这样 那样 这么 那么 这里 那里 这儿 那儿 这边 那边 这时 那时 这次 此次 本次 该次 每次
此外 此时 此前 此后 如此 因此 为此 对此 由此 从此 至此 什么 怎么 怎样 怎么样 如何 为何 为什么 哪些 哪个 哪里 哪儿 多少
几个 几乎 是否 能否 可否 缘何 何时 何处 何以 任何 各种 各类 各个 各项 各地 各界 各方 各国 每个 每天 每年 每日 每人
某些 某个 一个 一些 一种 一样 一般 一直 一定 一下 一次 一起 一旦 一切 一点 一边 一方面 一面 一时 一再 一度 一番 一律
有些 有的 有时 所有 全部 全都 整个 大量 许多 很多 不少 好多 多个 多种 多次 多名 多家 多项 部分 大部分 多数 大多 大多数
少数 以及 以便 以免 以至 以致 以上 以下 以内 以外 以来 以后 以前 之后 之前 之间 之一 之中 之内 之外 之下 之上 之类
之际 之时 并且 并非 并不 并未 而且 而是 而已 而后 然而 但是 不过 只是 可是 虽然 虽说 尽管 即使 即便 哪怕 如果 假如
倘若 若是 要是 只要 只有 除非 除了 无论 不论 不管 因为 由于 所以 因而 从而 于是 既然 既是 鉴于 为了 关于 对于 至于
有关 根据 按照 依照 通过 经过 随着 沿着 向着 朝着 为着 作为 当作 成为 变成 以为 或者 或是 还是 要么 与其 不如 不仅
不但 不只 不光 何况 况且 甚至 甚至于 乃至 同时 同样 然后 随后 接着 接下来 后来 最后 最终 首先 其次 再次 再度 再者 另外
另一 另一方面 比如 例如 譬如 诸如 等等 之所以 总之 换句话说 也就是说 与此同时 不仅仅 非常 十分 特别 尤其 相当 极其
极为 更加 更为 越来越 越发 比较 较为 稍微 略微 有点 有点儿 最为 最多 最少 至少 至多 最大 最高 最低 最新 最佳 最好 已经
曾经 正在 即将 将要 将会 刚刚 刚才 仍然 仍旧 依然 依旧 还有 还要 还会 还能 还可 也是 也不 也有 也许 或许 大概 大约
可能 也可 恐怕 似乎 好像 仿佛 当然 果然 居然 竟然 究竟 到底 毕竟 反正 简直 实在 确实 的确 真的 真正 完全 根本 绝对
必须 必定 必然 一定要 不必 不用 不要 不能 不会 不是 不可 不得 不得不 不再 不同 不知 不足 不断 不已 不了 不到 不敢 不想
不够 不止 不久 不大 不好 不怕 不料 不禁 没有 没能 未能 尚未 从未 从来 从不 无法 难以 难道 不曾 未必 未曾 可以 能够
可能会 应该 应当 需要 须要 想要 愿意 值得 敢于 得以 加以 予以 给予 用于 有所 所谓 来自 位于 在于 属于 等于 处于 趋于
介于 基于 至今 目前 当前 现在 如今 今天 昨天 明天 今日 昨日 明日 今年 去年 明年 近日 近期 日前 日起 即日 当天 当日
当时 当年 同日 平时 有时候 时候 时间 随时 立即 立刻 马上 尽快 及时 突然 忽然 渐渐 逐渐 逐步 不时 经常 常常 往往 通常
总是 永远 始终 偶尔 重新 反复 互相 相互 共同 分别 单独 亲自 仅仅 仅是 仅售 只能 只会 只好 就是 就要 就能 就会 便是
正是 都是 都有 都会 都能 乃是 即是 算是 像是 这是 那是 进行 开始 继续 表示 认为 觉得 指出 说明 称为 据说 据悉 据称
说道 看到 看来 看看 知道 出来 出去 起来 下来 下去 上来 上去 过来 过去 回来 回去 进来 进去 来说 来看 来讲 而言 的话
似的 有着 具有 拥有 带来 得到 达到 受到 遭到 使得 造成 导致 引起 出现 发生 存在 包括 包含 涉及 作出 做出 采取 提供
使用 利用 采用 方面 情况 问题 东西 事情 地方 样子 原因 关系 程度 左右 上下 前后 内外 里面 外面 上面 下面 前面 后面
旁边 中间 当中 期间 其间 第一 第二 第三 首个 首次 首批 两者 二者 若干 人民币 美元 欧元 日元 港元 公里 平米 平方米 公斤
分钟 小时 上午 下午 晚上 早上 凌晨 星期 月底 月初 年底 年初 年内 年前 年末 上半年 下半年 季度 公布 宣布 推出 举行 成功
全面 正式 有望 平起 均价 三大 四大 五大 十大 两大 两市 我国 本市 本省 全国 全球 将于 或将 已有 已经有 再现 现身 目标
今晚 昨晚 当晚 今夏 今秋 今冬 今春 本周 上周 下周 本月 上月 下月 周末 周年 双方 一行 一位 一名 一家 一条 一项 一部
一张 一场 一句 两个 两人 二人 三人 众人 有无 有何 何在 怎能 岂能 不得已 不由得 忍不住 起到 用来 拿来 说起 谈到 提到
想到 感到 见到 遇到 听到 找到 做到 看着 听说 一早 一旁 一路 一共 总共 一同 一齐 一向 向来 本来 原来 原本 起初 当初
以往 过往 往后 今后 日后 自从 自此 打从 趁着 凭借 借助 依靠 依据 就此 就算 就连 即可 亦可 亦是 皆是 即为 视为 列为
定为 选为 并将 并在 也在 也将 仍将 仍在 正值 不可能 不应 不应该 不该 不宜 不妨 不容 何必 何不 多么 那么些 这么些 这般
那般 那么样 这么样 不由 以期 以求 以示 似 似是 尤为 颇为 甚为 较大 较高 较低 巨大 一半 半数 大半 七成 六成 九成 八成
"""
# Japanese verbs and nouns with a grammatical function. Particles, auxiliaries and numerals are removed beforehand.
_JAPANESE = """
する いる なる ある できる 出来る おる くる 来る いく 行く 行う おこなう よる 依る いう 言う おく 置く つく 付く
用いる 使う 呼ぶ 指す 含む 含める 持つ もつ 対する 関する 属する 有する 際する 通じる 応じる 基づく 伴う ともなう
異なる 表す あらわす 示す 定める 扱う 受ける 与える 加える 除く 至る いたる 称する 略す 述べる 知る 知れる 思う 考える
見る みる 見せる やる くれる もらう あげる しまう とる 取る 始まる 始める はじめる 続く 続ける 接する 面する あたる
当たる なす 成す 成る 占める 経る 合わせる 次ぐ 入る 出る 出す かける かかる わたる つける 得る える 挙げる 上げる
果たす 異る 違う 分ける 分かれる きく 聞く ない 無い よい 良い いい 多い 少ない 大きい 小さい 高い 低い 長い 短い 広い
近い 遠い 古い 新しい 強い 弱い 深い 早い 速い 同じ こと もの 物 者 人 ため 為 うち 内 ほか 他 とき 時 ところ 所 わけ
はず よう まま ほう 方 中 上 下 前 後 間 際 外 頃 ごろ 先 場合 現在 一部 通常 以外 以降 以上 以下 以前 以後 以来 以内
多く 多数 少数 唯一 全て すべて 全体 全部 それぞれ 時期 結果 最初 最後 最大 最小 最高 最低 自ら ほとんど 古く 本来
はじめ 当時 当初 一方 実際 近年 毎年 元年 初頭 初期 末期 後半 前半 一人 二人 従来 今日 昨日 明日 今年 去年 翌年 同年
今回 前回 次回 一つ 二つ 一種 一般 一定 一連 各地 各種 各国 個々 対象 目的 中心 単位 名称 通称 略称 総称 呼称 別名
正式 意味 存在 構成 表記 特定 使用 分類 区分 区別 関係 関連 指定 設置 定義 代表 由来 利用 所在 記述 成立 形成 発生
所属 参照 相当 該当 以て 必要 可能 重要 主要 様々 さまざま 多様 同様 特別 特殊 完全 有数 同一 独自 有名 著名 明確 単独
同等 新た 明らか 盛ん 多大 別 最も 共通 直接 類似 反対 例 名 点 形 型 側 面 数 度 種 類 部 度合い 範囲 程度 内容 状態
状況 問題 部分 一部分 方法 理由 場所 位置 上記 下記 前述 後述 事 主 同 旧 元 各 当 的 一般的 基本的 具体的 比較的
代表的 全般 全国 各々 自体 自分 お互い 互い 本項 同国 同社 特徴 種類 長さ 複数 無数 さらに とおり 通り つもり 今 今後
今度 昔 次 次第 前者 後者 両者 両方 我々 彼ら 皆 みんな ここ そこ 何 誰 人々 感じ 気 風 訳 件 式 用 分 多数派 呼ばれる
言える なれる 出来上がる 知れ渡る もたらす 生じる 起こる 起きる 残る 残す 変わる 変える 求める 決まる 決める 置ける
設ける 備える 加わる 含まれる 指し示す 意味する 取り扱う 取り上げる 見られる 思える くださる 下さる いただく 頂く 致す
いたす ござる まいる 参る
"""
# The same for Korean; verbs and adjectives end in 다, as the segmenter returns them.
_KOREAN = """
하다 되다 있다 없다 보다 나오다 가다 오다 주다 받다 만들다 알다 모르다 보이다 느끼다 나다 대하다 위하다 들다 쓰다 살다
맞다 치다 빠지다 가지다 지나다 내다 드리다 생기다 통하다 어쩌다 말다 그러다 이러다 저러다 바라다 당하다 나가다 보내다
않다 못하다 따르다 들어가다 들어오다 두다 서다 지다 걸리다 전하다 인하다 의하다 관하다 비하다 이루다 이어지다 다니다
이다 아니다 같다 좋다 많다 적다 크다 작다 높다 낮다 길다 짧다 다르다 비슷하다 똑같다 괜찮다 그렇다 이렇다 저렇다
어떻다 아무렇다 어떠하다 그러하다 이러하다 수많다 불구하다 비롯하다 틀리다 옳다 싶다 나쁘다 심하다 엄청나다 대단하다
굉장하다 확실하다 당연하다 충분하다 적당하다 상관없다 틀림없다 쉽다 어렵다 놓다 얻다 하나 생각 정도 때 말 사람 자체
부분 모습 이상 이하 이유 경우 처음 마지막 중간 앞 뒤 끝 다음 지금 요즘 당시 옛날 오늘 어제 내일 올해 작년 이번 저번
지난번 시절 순간 동안 이후 이전 현재 과거 최근 나중 언제 어디 누구 무엇 우리 자신 자기 본인 개인 남 모두 전부 전체
일부 대부분 나머지 각각 서로 얘기 이야기 느낌 느낌표 필요 이해 시작 기대 표현 진짜 정말 완전 최고 최악 추천 굿 비추
솔직 개인적 감사 죄송 별로 그냥 진심 의미 수준 상황 문제 내용 시간 의견 하루 이틀 년도 년대 때문 관련 대상 방법 결과
가능 사실 물론 역시 조금 약간 가장 매우 이제 결국 그때 이때 혼자 예전 역대 사이 또래 오랜만 가지 종류 관계 단순 중요
특유 완벽 개 점 애 전 후 급 작 씬 매번 매일 평소 이런저런 그것 이것 저것 여기 거기 저기 만큼 그동안 한번 한편 아무
아무것 뭔가 무언가 되게 생각나다 생각하다 말하다 이야기하다 남다 남기다 낫다 잇다 넣다 빼다 갖다 버리다 달다 걸다
오르다 내리다 돌아가다 돌아오다 넘다 넘어가다 이르다 알아보다 찾아보다 바뀌다 바꾸다 변하다 가능하다 불가능하다
필요하다 중요하다 유명하다 다양하다 분명하다 특별하다 완벽하다 이상하다 시키다 여기다 삼다 만하다 듯하다
"""
_OWN = {"en": _ENGLISH, "zh": _CHINESE, "ja": _JAPANESE, "ko": _KOREAN}


def tokenize(texts: pl.Series, rows: pl.Series | None = None) -> pl.Series:
    """Split texts into lower-cased words: runs of two or more Unicode letters, each with its combining marks.

    Words are normalised to Unicode's composed form (NFC), so that each word has one spelling. This happens after
    lower-casing, which can decompose a letter.

    Parameters
    ----------
    texts : polars Series of str, length n
    rows : polars Series of int, optional
        Indices of the texts that may contain non-ASCII characters. Default: all.

    Returns
    -------
    polars Series of list of str, length n
    """
    low = pl.col("text").str.to_lowercase()
    if rows is None:
        unstable = low.str.contains(_UNSTABLE)
    else:
        unstable = pl.when(pl.col("rare")).then(low).str.contains(_UNSTABLE).fill_null(False)
    composed = pl.when(unstable).then(low).str.normalize("NFC")
    words = pl.when(unstable).then(composed).otherwise(low).str.extract_all(TOKEN_PATTERN)
    # The streaming engine uses all threads; no operation here reorders rows.
    table = texts.rename("text").to_frame()
    if rows is not None:
        table = table.with_columns(pl.repeat(False, len(texts), eager=True).scatter(rows, True).alias("rare"))
    query = table.lazy().select(words)
    return query.collect(engine="streaming").to_series().rename(texts.name)


def check_language(lang: str, *, auto: bool = False) -> str:
    """Return the two-letter code of a language, after checking that topicnet supports it.

    Parameters
    ----------
    lang : str
        The code, in upper or lower case, or "none".
    auto : bool
        Accept "auto" too; only for callers that replace it by the result of `detect_language` before tokenising.

    Raises
    ------
    InputError
        The language is unknown, or topicnet has no segmenter or no stop words for it.
    """
    code = lang.lower()
    if code in NEED_SEGMENTER:
        raise InputError(
            f"--lang {code} given: {NEED_SEGMENTER[code]} needs a word segmenter, which this version does not have;"
            " segment the text first (words separated by spaces) and give --lang none"
        )
    if code in NO_STOP_WORDS:
        raise InputError(
            f"--lang {code} given: this version has no reliable stop words for {NO_STOP_WORDS[code]};"
            " give --lang none and your own with --stop-words"
        )
    if code not in ("none", *known_languages()) and not (auto and code == "auto"):
        known = ", ".join(known_languages())
        raise InputError(f"--lang {lang!r} given, expected {'auto, ' if code != 'auto' else ''}none or one of: {known}")
    return code


def known_languages() -> list[str]:
    """Return the codes of all supported languages, in alphabetical order."""
    return sorted(set(LANGUAGE_MAPPING) - set(NEED_SEGMENTER) - set(NO_STOP_WORDS))


def stop_words(lang: str, tokenizer: Callable[[pl.Series], pl.Series] | None = None) -> list[str]:
    """Return the stop words of a language in the form that a tokenizer gives them, sorted.

    Parameters
    ----------
    lang : str
        Two-letter code; "none" gives an empty list.
    tokenizer : callable, optional
        Maps texts to lists of words. Default: `tokenize`. The lists of zh, ja and ko are not tokenised.

    Raises
    ------
    InputError
        The language is unknown.
    """
    code = check_language(lang)
    if code == "none":
        return []
    words = _untokenized_stop_words(code)
    if code in SEGMENTED:
        return sorted(words)
    kept = set(_SUBJECTS.get(code, "").split())
    return [word for word in tokenized_stop_words(sorted(words), tokenizer) if word not in kept]


def tokenized_stop_words(words: list[str], tokenizer: Callable[[pl.Series], pl.Series] | None = None) -> list[str]:
    """Tokenise stop words with `tokenize` and with another tokenizer, and return the results of both, sorted.

    A lemmatising tokenizer may turn "was" into "be"; then both are stop words. A segmenter that drops function words
    may return nothing for a word, which then keeps its plain form.
    """
    texts = pl.Series(words, dtype=pl.String)
    found = set(tokenize(texts).explode().drop_nulls())
    if tokenizer is not None:
        found |= set(tokenizer(texts).explode().drop_nulls())
    return sorted(found)


def _untokenized_stop_words(code: str) -> set[str]:
    """Return the stop words on the lists of a language, before tokenising."""
    if code in _OWN:
        # Words in Latin letters in Chinese, Japanese or Korean text are mostly English.
        return set(_OWN[code].split()) | (set(_ENGLISH.split()) if code in SEGMENTED else set())
    source = _SOURCES.get(code)
    words = set() if source == "spacy" else set(get_stop_words(code))
    if source is not None:
        words |= _spacy_stop_words(code)
    return words | set(_ADDED.get(code, "").split())


@functools.cache
def _spacy_stop_words(code: str) -> frozenset[str]:
    """Read spaCy's stop words of a language from their file alone, since importing spaCy takes 1.5 s."""
    package = importlib.util.find_spec("spacy")
    if package is None or not package.submodule_search_locations:
        raise InputError(f"--lang {code} needs the stop words of spaCy: pip install spacy")
    path = Path(package.submodule_search_locations[0]) / "lang" / code / "stop_words.py"
    try:
        return frozenset(runpy.run_path(str(path))["STOP_WORDS"])
    except (ImportError, OSError) as error:
        raise InputError(
            f"--lang {code} needs the stop words of spaCy, which cannot be read: reinstall spacy"
        ) from error

"""Phonemes: how alike they sound, and phrases that nearly are another."""

import functools
import itertools
import math
import unicodedata
from typing import NamedTuple

# Pairs of voiceless and voiced, a column for each place from the lips to the glottis.
# Source: the chart of the International Phonetic Association, 2020; affricates, which
# it has not, are written as one sign. w is kept with the lips, j with the palate.
CONSONANTS = {
    "plosive": "p b . . . . t d . . ʈ ɖ c ɟ k ɡ q ɢ . . ʔ .",
    "nasal": ". m . ɱ . . . n . . . ɳ . ɲ . ŋ . ɴ . . . .",
    "trill": ". ʙ . . . . . r . . . . . . . . . ʀ . . . .",
    "tap": ". . . ⱱ . . . ɾ . . . ɽ . . . . . . . . . .",
    "fricative": "ɸ β f v θ ð s z ʃ ʒ ʂ ʐ ç ʝ x ɣ χ ʁ ħ ʕ h ɦ",
    "affricate": ". . . . . . ʦ ʣ ʧ ʤ . . ʨ ʥ . . . . . . . .",
    "approximant": ". w . ʋ . . . ɹ . . . ɻ . j . ɰ . . . . . .",
    "lateral": ". . . . . . . l . . . ɭ . ʎ . ʟ . . . . . .",
}
# Pairs of unrounded and rounded: front, central, back; a row for each height.
VOWELS = (
    "i y ɨ ʉ ɯ u",
    "ɪ ʏ ᵻ . . ʊ",
    "e ø ɘ ɵ ɤ o",
    ". . ə . . .",
    "ɛ œ ɜ ɞ ʌ ɔ",
    "æ . ɐ . . .",
    "a ɶ . . ɑ ɒ",
)
ONE_SIGN = {"tʃ": "ʧ", "dʒ": "ʤ", "ts": "ʦ", "dz": "ʣ", "tɕ": "ʨ", "dʑ": "ʥ"}
ONE_SIGN |= {"g": "ɡ", "ɚ": "ə", "ɝ": "ɜ", "ɫ": "l", "ɬ": "l"}
RHOTIC = set("rɾɽɹɻʀʁ")
REDUCED = set("əɪʊɐʌɜᵻɛ")
GLIDES = {"j": "iɪy", "w": "uʊ"}
# Sounds that fluent speakers drop or add without saying something else.
WEAK = RHOTIC | set("əɪʊjwhɦʔ")
WEAK_COST = 0.2


class Phone(NamedTuple):
    """A phoneme of a phrase.

    Attributes:
      sign: as the synthesiser writes it, without stress.
      stress: what the synthesiser writes before it: "", "'" or ",".
      ipa: its sounds, letters of the phonetic alphabet without length and stress.
      word: number of the word that it is in.
    """

    sign: str
    stress: str
    ipa: str
    word: int

    @property
    def vowel(self):
        """Whether a syllable is spoken on it."""
        return any(sound in _vowels() for sound in self.ipa)


def parse(signs, ipa, separator):
    """The phones of a transcription.

    Args:
      signs: words divided by spaces, phonemes by `separator`, as espeak-ng writes them.
      ipa: the same in the phonetic alphabet.
      separator: a character.

    Returns:
      Tuple of `Phone`; None where words of another language are among them, or the two
      do not correspond.
    """
    found = []
    if "(" in signs:
        return None
    sides = [[word.split(separator) for word in text.split()] for text in (signs, ipa)]
    if list(map(len, sides[0])) != list(map(len, sides[1])):
        return None
    for number, word in enumerate(zip(*sides, strict=True)):
        for sign, sounds in zip(*word, strict=True):
            bare = sign.lstrip("',%=")
            if bare and not bare.startswith("_"):  # Pauses.
                stress = sign[: len(sign) - len(bare)]
                found.append(Phone(bare, stress, letters(sounds), number))
    return tuple(found)


@functools.cache
def letters(ipa):
    """Text in the phonetic alphabet as sounds: one letter each, nothing else."""
    for pair, sign in ONE_SIGN.items():
        ipa = ipa.replace(pair, sign)
    return "".join(sound for sound in ipa if unicodedata.category(sound) == "Ll")


def written(phones):
    """Phones as the synthesiser reads them, such as [[h|'eI dZ|'A@|v|I|s]]."""
    words = itertools.groupby(phones, key=lambda phone: phone.word)
    signs = (
        "|".join(phone.stress + phone.sign for phone in group) for _, group in words
    )
    return f"[[{' '.join(signs)}]]"


def sounds(phones):
    """The sounds of phones in a row, one letter each."""
    return "".join(phone.ipa for phone in phones)


@functools.cache
def difference(one, other):
    """How differently two sounds sound: 0 the same, 1 nothing in common.

    Args:
      one: letter of the phonetic alphabet; any other letter is like itself only.
      other: the same.

    Source: the features of the phonetic alphabet; how they weigh was set by hand.
    """
    if one == other:
        return 0.0
    pair = {one, other}
    if pair <= RHOTIC or (pair <= REDUCED and "ə" in pair):
        return 0.1
    if any(pair & {glide} and pair & set(like) for glide, like in GLIDES.items()):
        return 0.15
    first, second = (_vowels().get(sound) for sound in (one, other))
    if first and second:
        height, back, rounded = (abs(a - b) for a, b in zip(first, second, strict=True))
        return min(1.0, 0.5 * height + 0.4 * back + 0.15 * rounded)
    first, second = (_consonants().get(sound) for sound in (one, other))
    if first and second:
        steps = abs(first[1] - second[1])
        place = min(0.5, 0.2 + 0.1 * steps) if steps else 0.0
        voiced = 0.3 * (first[2] != second[2])
        return min(1.0, 0.4 * (first[0] != second[0]) + place + voiced)
    return 1.0


def distance(wanted, heard, anywhere=False, enough=math.inf):
    """The least sum of differences that turns one row of sounds into another.

    Args:
      wanted: letters.
      heard: letters.
      anywhere: whether what stands before and after it in `heard` is free.
      enough: the search ends where the sum cannot be less, with at least that.

    Returns:
      About 1 for a sound that is missing or added, 0.2 for one that is easily dropped,
      `difference` for one that is replaced.

    Source: Wagner and Fischer 1974; free ends as in Sellers 1980.
    """
    cost_n = [_cost(sound) for sound in heard]
    row = list(itertools.accumulate(cost_n, initial=0.0))
    if anywhere:
        row = [0.0] * len(row)
    for sound in wanted:
        cost, above = _cost(sound), row
        row = [above[0] + cost]
        for column, other in enumerate(heard):
            replaced = above[column] + difference(sound, other)
            dropped = above[column + 1] + cost
            row.append(min(replaced, dropped, row[column] + cost_n[column]))
        # No later row has anything less than the least of this one.
        if min(row) >= enough:
            return min(row)
    return min(row) if anywhere else row[-1]


def alike(phone, inventory, least, most):
    """Phones of an inventory that sound nearly like one, sorted.

    Args:
      phone: `Phone`.
      inventory: set of (sign, ipa).
      least: smallest `distance` of them.
      most: largest one.
    """
    return sorted(
        (sign, ipa)
        for sign, ipa in inventory
        if least <= distance(phone.ipa, ipa) <= most
        and any(sound in _vowels() for sound in ipa) == phone.vowel
    )


def _cost(sound):
    return WEAK_COST if sound in WEAK else 1.0


@functools.cache
def _vowels():
    """{sound: (height, back, rounded)} from 0 to 1."""
    return {
        sound: (number / (len(VOWELS) - 1), column // 2 / 2, column % 2)
        for number, row in enumerate(VOWELS)
        for column, sound in enumerate(row.split())
        if sound != "."
    }


@functools.cache
def _consonants():
    """{sound: (manner, place, voiced)}."""
    return {
        sound: (manner, column // 2, column % 2)
        for manner, row in CONSONANTS.items()
        for column, sound in enumerate(row.split())
        if sound != "."
    }

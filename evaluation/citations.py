"""Where the works that define scores can be read."""

# arXiv numbers by `source` as scores state it.
ARXIV = {
    "Allen 2024": "2410.22559",
    "Bińkowski et al. 2018": "1801.01401",
    "Brady et al. 2023": "2305.14229",
    "Brady et al. 2025": "2411.07784",
    "Cao et al. 2022": "2206.04756",
    "Chen et al. 2018": "1802.04942",
    "Do & Tran 2020": "1908.09961",
    "Duan et al. 2020": "1905.12614",
    "Eastwood et al. 2023": "2210.00364",
    "Gresele et al. 2021": "2106.05200",
    "Heusel et al. 2017": "1706.08500",
    "Hsu et al. 2023": "2305.18378",
    "Hyvärinen & Morioka 2016": "1605.06336",
    "Khemakhem et al. 2020": "2002.11537",
    "Kim & Mnih 2018": "1802.05983",
    "Kumar et al. 2018": "1711.00848",
    "Lachapelle et al. 2022": "2107.10098",
    "Lachapelle et al. 2023": "2307.02598",
    "Li et al. 2020": "2002.10549",
    "Li, Fan et al. 2025": "2503.00639",
    "Locatello et al. 2019": "1811.12359",
    "Peebles et al. 2020": "2008.10599",
    "Pont-Tuset et al. 2017": "1503.00848",
    "Ridgeway & Mozer 2018": "1802.05312",
    "Rolinek et al. 2019": "1812.06775",
    "Sepliarskaia et al. 2019": "1910.05587",
    "Suter et al. 2019": "1811.00007",
    "Zimmermann et al. 2021": "2102.08850",
    "von Kügelgen et al. 2021": "2106.04619",
}
# Works that are not there: journals, conferences.
ELSEWHERE = {
    "Dowson & Landau 1982": "https://doi.org/10.1016/0047-259X%2882%2990077-X",
    "Eastwood & Williams 2018": "https://openreview.net/forum?id=By-7dz-AZ",
    "Higgins et al. 2017": "https://openreview.net/forum?id=Sy2fzU9gl",
    "Hotelling 1936": "https://doi.org/10.1093/biomet/28.3-4.321",
    "Hubert & Arabie 1985": "https://doi.org/10.1007/BF01908075",
    "Jaccard 1912": "https://doi.org/10.1111/j.1469-8137.1912.tb05611.x",
    # A dissertation; its chapter 3 extends this article.
    "Zietlow 2022": "https://arxiv.org/abs/1812.06775",
}


def url(source: str) -> str:
    """Where a source can be read; empty for one of a user's own."""
    number = ARXIV.get(source)
    return f"https://arxiv.org/abs/{number}" if number else ELSEWHERE.get(source, "")


def link(source: str) -> str:
    """A source in Markdown, linked to its text."""
    return f"[{source}]({url(source)})" if url(source) else source

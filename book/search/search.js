// The search page: it reads the index of book/finding.py, and shows for ?q=… the sections, claims and functions found.
(() => {
  // 1. Words. A text becomes words in one spelling, and for each phrase of a group of synonyms that it has a sign: "=lora"
  //    for the group that has LoRA first. What is searched for goes the same way.
  const GREEK = "α alpha β beta γ gamma δ delta ε epsilon ϵ epsilon ζ zeta η eta θ theta κ kappa λ lambda μ mu ν nu ξ xi π pi ρ rho σ sigma ς sigma τ tau φ phi ϕ phi χ chi ψ psi ω omega".split(" ");
  const LETTER = new Map(GREEK.flatMap((sign, i) => i % 2 ? [] : [[sign, GREEK[i + 1]]]));
  const SILENT = new Set("a an and are as at be by do does for from has have how i if in is it its many me much of on one or so than that the their there this to was we what when where which who why with you your".split(" "));
  const WORD = /[\p{L}\p{N}\u0300-\u036f]+/gu;

  const once = (of, seen = new Map()) => (word) => seen.get(word) ?? seen.set(word, of(word)).get(word); // most words recur

  const spell = once((word) => {
    let plain = word.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
    plain = plain.replace(/[α-ωϵϕ]/g, (sign) => LETTER.get(sign) ?? sign);
    if (plain.length < 4) return plain;
    plain = plain.replace(/ies$/, "y").replace(/([^sui])s$/, "$1").replace(/(ss|x|ch|sh)e$/, "$1");
    return plain.replace(/is(e|ed|er|ing|ation)$/, "iz$1").replace(/our(ed|ing)?$/, "or$1")
      .replace(/([^aeiou])tre(d)?$/, "$1ter$2").replace(/grey$/, "gray");
  });

  const stem = (word) => word.replace(/(ization|ation|ing|ed|er|e)$/, ""); // what merge, merging and merged have in common

  const words = (text) => (text.replace(/['’]s\b/g, "").match(WORD) ?? []).map(spell);

  const { synonyms, entries } = window.searchIndex;
  const bare = (text) => words(text).filter((word) => !SILENT.has(word)).join(" ");
  const groups = new Map(); // from the first word of each phrase to [phrase, sign of its group], longest first
  const names = new Map(); // from the sign of a group to all its phrases
  for (const group of synonyms) {
    const sign = "=" + words(group[0]).join("-");
    names.set(sign, group);
    for (const phrase of group.map(words)) groups.set(phrase[0], [...groups.get(phrase[0]) ?? [], [phrase, sign]]);
  }
  for (const phrases of groups.values()) phrases.sort((a, b) => b[0].length - a[0].length);

  const phraseAt = (list, at) => (groups.get(list[at]) ?? []).find(([phrase]) => phrase.every((word, i) => list[at + i] === word));

  function terms(text) {
    const list = words(text), found = [];
    list.forEach((word, at) => {
      if (!SILENT.has(word)) found.push(word);
      const phrase = phraseAt(list, at);
      if (phrase) found.push(phrase[1]);
    });
    return found;
  }

  // 2. The index. Titles count most, then the chapter, then the text; a claim more than a section, the back of the book less.
  const KIND = { page: 2, section: 1.1, theorem: 1.2, definition: 1.2, observation: 0.8, remark: 0.8, example: 0.8, aside: 0.6, exercise: 0.5, recurring: 0.4, function: 0.2, source: 0.2 };
  const documents = entries.map(([address, kind, title, place, text], id) => ({ id, address, kind, title, place, text }));
  const search = new MiniSearch({ fields: ["title", "place", "text"], tokenize: terms, processTerm: (term) => term });

  // 3. A query: each of its words as it is written, or as a synonym, a form, a beginning, nearly so; where it has
  //    synonyms, all of them count alike, and its own words only break ties. What has all words comes before what has some.
  function alternatives(word, weight) {
    const typo = word.length > 4 && !/\d/.test(word) ? 0.2 : false;
    const written = { queries: [word], boostTerm: () => weight, prefix: word.length > 2, fuzzy: typo, weights: { prefix: 0.4, fuzzy: 0.2 } };
    const form = { queries: [stem(word)], boostTerm: () => weight, prefix: true, weights: { prefix: 0.6 } };
    return { combineWith: "OR", queries: stem(word) !== word && stem(word).length > 3 ? [written, form] : [written] };
  }

  // The parts of a query, each a word or a phrase with synonyms: the terms that stand for it, and the query for them.
  function parts(list) {
    const found = [];
    for (let at = 0; at < list.length; at += 1) {
      const phrase = phraseAt(list, at);
      const row = (phrase?.[0] ?? [list[at]]).filter((word) => !SILENT.has(word));
      if (!row.length) continue;
      const exact = { combineWith: "AND", queries: row.map((word) => alternatives(word, phrase ? 0.3 / row.length : 1)) };
      const same = phrase ? [phrase[1]] : [];
      found.push({ terms: [...row, ...row.map(stem), ...same], whole: phrase?.[0].length === list.length && phrase[1], query: { combineWith: "OR", queries: [exact, ...same] } });
      if (phrase) at += phrase[0].length - 1;
    }
    return found;
  }

  function look(query) {
    const list = words(query), asked = parts(list), sign = asked[0]?.whole;
    const equal = new Set((names.get(sign) ?? [query]).map(bare)), row = ` ${bare(query)} `;
    const boostDocument = (id) => { // a title that is what was asked counts four times, one that has it twice
      const title = documents[id].title.replace(/^[\w. ]*?\d[\d.]* /, ""), said = bare(title);
      const has = sign ? terms(title).includes(sign) : ` ${said} `.includes(row);
      return (KIND[documents[id].kind] ?? 1) * (equal.has(said) ? 4 : has ? 2 : 1);
    };
    const options = { boost: { title: 6, place: 1.5, text: 1 }, boostDocument, tokenize: (text) => [text], combineWith: "OR" };
    const found = search.search({ combineWith: "OR", queries: asked.map((part) => part.query) }, options);
    for (const one of found) {
      const has = asked.filter((part) => part.terms.some((term) => one.queryTerms.includes(term))).length;
      one.score *= (has / asked.length) ** 2;
      one.complete = has === asked.length;
    }
    return found.sort((a, b) => b.score - a.score);
  }

  // 4. What is shown of each: its title, where it stands, and the sentence that says most of what was asked.
  const known = (word, marks) => marks.has(spell(word)) && !SILENT.has(spell(word));

  function marked(text, marks) {
    const line = document.createDocumentFragment();
    let end = 0;
    for (const { 0: word, index } of text.matchAll(WORD)) {
      if (!known(word, marks)) continue;
      const mark = document.createElement("mark");
      mark.textContent = word;
      line.append(text.slice(end, index), mark);
      end = index + word.length;
    }
    line.append(text.slice(end));
    return line;
  }

  function sentence(text, marks) {
    const sentences = text.split(/\n|(?<=[.!?]) (?=[\p{Lu}\p{N}])/u);
    const counts = sentences.map((one) => new Set((one.match(WORD) ?? []).filter((word) => known(word, marks)).map(spell)).size);
    const at = counts.indexOf(Math.max(...counts));
    const best = sentences[at].length < 60 ? sentences.slice(at, at + 2).join(" ") : sentences[at]; // a short one with the next
    if (best.length <= 260) return best;
    const first = Math.max(0, [...best.matchAll(WORD)].find(({ 0: word }) => known(word, marks))?.index ?? 0);
    const from = first < 160 ? 0 : best.indexOf(" ", first - 100) + 1;
    return (from ? "… " : "") + best.slice(from, best.lastIndexOf(" ", from + 250)) + " …";
  }

  function shown({ id, match }) {
    const { address, title, place, text } = documents[id];
    const marks = new Set(Object.keys(match));
    for (const mark of [...marks]) (names.get(mark) ?? []).flatMap(words).forEach((word) => marks.add(word));
    const item = document.createElement("li");
    const [link, where, excerpt] = ["a", "p", "p"].map((tag) => document.createElement(tag));
    link.href = address;
    link.append(marked(title, marks));
    where.className = "place";
    where.textContent = place;
    excerpt.append(marked(sentence(text, marks), marks));
    item.append(link, ...[where, excerpt].filter((part) => part.textContent));
    return item;
  }

  // 5. The page: once the index is read, the field, its results while one types, and the arrow keys through them.
  const MOST = 30;
  const field = document.querySelector(".bd-search-container input");
  const list = document.getElementById("search-results");
  const summary = document.getElementById("search-summary");

  function show(query) {
    const found = look(query);
    list.replaceChildren(...found.slice(0, MOST).map(shown));
    document.title = document.title.replace(/^.*(?=Search —)/, query.trim() ? `${query.trim()} – ` : "");
    if (!query.trim()) summary.textContent = "";
    else if (!found.length) summary.textContent = `Nothing in the book has “${query.trim()}”. Try fewer or other words.`;
    else {
      const count = found.length > MOST ? `The first ${MOST} of ${found.length} places` : found.length > 1 ? `${found.length} places` : "One place";
      summary.textContent = count + (found.some((one) => one.complete) ? ":" : " with some of these words; none has all of them:");
    }
  }

  function move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const stops = [field, ...list.querySelectorAll("a")];
    const next = step && stops[stops.indexOf(document.activeElement) + step];
    if (next) event.preventDefault(), next.focus();
  }

  let waiting;
  function start() {
    search.addAll(documents);
    show(field.value);
    field.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => {
        history.replaceState(null, "", field.value ? `?q=${encodeURIComponent(field.value)}` : location.pathname);
        show(field.value);
      }, 120);
    });
    document.querySelector(".bd-search-container").addEventListener("keydown", move);
  }

  field.value = new URLSearchParams(location.search).get("q") ?? "";
  field.focus();
  field.setSelectionRange(field.value.length, field.value.length);
  if (field.value) summary.textContent = "Looking …";
  setTimeout(start, 30); // when the page is painted
})();

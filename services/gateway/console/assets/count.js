// The length of a text as Threads counts it: a grapheme that shows an emoji counts its bytes in UTF-8, all else one per code
// point. The same rule, and the same tables, as internal/threads/textrules.go; the vectors there are run on both.
const always = /[\u231A\u231B\u23E9-\u23EC\u23F0\u23F3\u25FD\u25FE\u2614\u2615\u2648-\u2653\u267F\u2693\u26A1\u26AA\u26AB\u26BD\u26BE\u26C4\u26C5\u26CE\u26D4\u26EA\u26F2\u26F3\u26F5\u26FA\u26FD\u2705\u270A\u270B\u2728\u274C\u274E\u2753-\u2755\u2757\u2795-\u2797\u27B0\u27BF\u2B1B\u2B1C\u2B50\u2B55\u{1F004}\u{1F0CF}\u{1F18E}\u{1F191}-\u{1F19A}\u{1F1E6}-\u{1F1FF}\u{1F201}\u{1F21A}\u{1F22F}\u{1F232}-\u{1F236}\u{1F238}-\u{1F23A}\u{1F250}\u{1F251}\u{1F300}-\u{1F64F}\u{1F680}-\u{1F6FF}\u{1F7E0}-\u{1F7EB}\u{1F7F0}\u{1F90C}-\u{1F9FF}\u{1FA70}-\u{1FAFF}]|[#*0-9]\u20E3|\uFE0F\u20E3/u;
const asked = /[#*0-9\u00A9\u00AE\u203C\u2049\u2122\u2139\u2194-\u2199\u21A9\u21AA\u231A\u231B\u2328\u23CF\u23E9-\u23F3\u23F8-\u23FA\u24C2\u25AA\u25AB\u25B6\u25C0\u25FB-\u25FE\u2600-\u27BF\u2934\u2935\u2B05-\u2B07\u2B1B\u2B1C\u2B50\u2B55\u3030\u303D\u3297\u3299\u{1F170}\u{1F171}\u{1F17E}\u{1F17F}\u{1F202}\u{1F237}]\uFE0F/u;
const clusters = new Intl.Segmenter("en", { granularity: "grapheme" });
const bytes = new TextEncoder();

export const limit = 500;

export function count(text) {
  let n = 0;
  for (const { segment } of clusters.segment(text)) {
    if (segment.length > 1 || segment > "\u007f") n += always.test(segment) || asked.test(segment) ? bytes.encode(segment).length : [...segment].length;
    else n++;
  }
  return n;
}

// split cuts a text into parts that fit, at the ends of sentences where there are any, else between words.
export function split(text, most = limit) {
  const parts = [];
  for (let rest = text.trim(); rest;) {
    if (count(rest) <= most) { parts.push(rest); break; }
    let fits = "", sentence = "", words = "";
    for (const { segment } of clusters.segment(rest)) {
      if (count(fits + segment) > most) break;
      fits += segment;
      if (/[.!?…。！？\n]["'”’)]*$/.test(fits)) sentence = fits;
      if (/\s$/.test(fits)) words = fits;
    }
    const part = sentence || words || fits;
    parts.push(part.trim());
    rest = rest.slice(part.length).trim();
  }
  return parts;
}

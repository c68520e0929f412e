// The length of a text as Threads counts it: a grapheme that shows an emoji counts its bytes in UTF-8, all else one per code
// point. The same rule as internal/threads/textrules.go; the vectors there are run on both.
const always = /\p{Emoji_Presentation}|[\u{1F300}-\u{1F64F}\u{1F680}-\u{1F6FF}\u{1F90C}-\u{1F9FF}\u{1FA70}-\u{1FAFF}]|[#*0-9]\u20E3|\uFE0F\u20E3/u;
const asked = /[\p{Emoji}\u2600-\u27BF]\uFE0F/u;
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

// plain is a part without the bars that hide words: ||so||. The same rule as spoilers.go.
export function plain(part) {
  const pieces = part.replace(/\\(?=\\*\|)(.)|\|+/g, (bars, meant) => meant ?? (bars === "||" ? "\0" : bars)).split("\0");
  return pieces.join("") + (pieces.length % 2 ? "" : "||");
}

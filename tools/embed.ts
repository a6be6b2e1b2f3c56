/** Generated parts of a document that people write. */

/**
 * Replaces what lies between `<!-- generated NAME -->` and `<!-- end NAME -->`.
 * @param parts the content of each part by its name.
 * @throws {Error} when the document has no place for one of them.
 */
export function embed(document: string, parts: Readonly<Record<string, string>>): string {
  let text = document;
  for (const [name, content] of Object.entries(parts)) {
    const [begin, end] = [`<!-- generated ${name} -->\n`, `<!-- end ${name} -->`];
    const from = text.indexOf(begin);
    const to = text.indexOf(end, from);
    if (from < 0 || to < 0) throw new Error(`No place is marked for ${name}`);
    text = `${text.slice(0, from + begin.length)}\n${content.trimEnd()}\n\n${text.slice(to)}`;
  }
  return text;
}

/** What docker's options take for true and false, as Go's strconv.ParseBool does; undefined: neither. */
export function flagOf(word: string): boolean | undefined {
  if (/^(?:1|t|T|true|TRUE|True)$/.test(word)) return true;
  if (/^(?:0|f|F|false|FALSE|False)$/.test(word)) return false;
  return undefined;
}

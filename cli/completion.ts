import type { CommandRow } from "./command.ts";
import type { Completion } from "./option.ts";

/** What prints the words of each kind; run by the shell when the user presses Tab. */
const SOURCES: Readonly<Record<Completion, string>> = {
  file: 'compgen -f -- "$cur"',
  directory: 'compgen -d -- "$cur"',
  image: `_ddcli_words "$(ddcli images --format '{{.Name}}' 2>/dev/null)"`,
  container: `_ddcli_words "$(ddcli ps -a --format '{{.Names}}' 2>/dev/null)"`,
  volume: `_ddcli_words "$(ddcli volume ls -q 2>/dev/null)"`,
  network: `_ddcli_words "$(ddcli network ls --format '{{.Name}}' 2>/dev/null)"`,
};

/** The completion script for bash, made from the table of commands. */
export function bashCompletion(commands: readonly CommandRow[]): string {
  const names = commands.map((row) => row.name);
  const first = [...new Set(names.map((name) => name.split(" ", 1)[0] ?? ""))];
  const families = first.filter((word) => names.some((name) => name.startsWith(`${word} `)));
  return `# bash completion for ddcli: source <(ddcli completion bash)
_ddcli_words() { compgen -W "$1" -- "$cur"; }
_ddcli() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  local command="\${COMP_WORDS[1]}"
  COMPREPLY=()
  if [ "$COMP_CWORD" = 1 ]; then
    COMPREPLY=($(compgen -W "${first.join(" ")} --help --version" -- "$cur")); return
  fi
  case "$command" in ${families.join("|")}) command="$command \${COMP_WORDS[2]}";; esac
  if [ "$COMP_CWORD" = 2 ]; then
    case "\${COMP_WORDS[1]}" in
${families
  .map((word) => {
    const rest = names.filter((name) => name.startsWith(`${word} `));
    const words = rest.map((name) => name.slice(word.length + 1)).join(" ");
    return `      ${word}) COMPREPLY=($(compgen -W "${words}" -- "$cur")); return;;`;
  })
  .join("\n")}
    esac
  fi
  case "$command" in
${commands.map(commandCase).join("\n")}
  esac
}
complete -F _ddcli ddcli
`;
}

function commandCase(row: CommandRow): string {
  const spellings = row.options.flatMap((option) => [
    `--${option.name}`,
    ...(option.short === undefined ? [] : [`-${option.short}`]),
  ]);
  const values = row.options
    .filter((option) => option.choices !== undefined || option.complete !== undefined)
    .map((option) => {
      const pattern = [`--${option.name}`, ...(option.short ? [`-${option.short}`] : [])].join("|");
      const source =
        option.choices === undefined
          ? SOURCES[option.complete ?? "file"]
          : `compgen -W "${option.choices.join(" ")}" -- "$cur"`;
      return `        ${pattern}) COMPREPLY=($(${source})); return;;`;
    });
  const operand = row.operands.complete;
  return `    "${row.name}")
      case "$previous" in
${values.join("\n")}
      esac
      case "$cur" in
        -*) COMPREPLY=($(compgen -W "${[...spellings, "--help"].join(" ")}" -- "$cur"));;
        *) ${operand === undefined ? ":" : `COMPREPLY=($(${SOURCES[operand]}))`};;
      esac;;`;
}

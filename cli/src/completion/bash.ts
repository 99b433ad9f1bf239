import { flagsOf, type Place, stepsOf, valueFlags } from './places.ts'
import { quoted } from './quoted.ts'

/** A completion script for bash, also the one that macOS has (3.2). */
export const bashScript = (
  places: readonly Place[],
): string => `# instatunnel's completion for bash; in ~/.bashrc: source <(instatunnel completion bash)
_instatunnel() {
  local cur=\${COMP_WORDS[COMP_CWORD]} path= prev= word words= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case $prev in ${valueFlags(places).join('|')}) prev= && continue ;; esac
    case $path/$word in ${stepsOf(places).map(quoted).join('|')}) path="\${path:+$path }$word" ;; esac
    prev=$word
  done
  case $prev in ${valueFlags(places).join('|')}) return ;; esac
  case $path in
${places.map((place) => `    ${quoted(place.path)}) words=${quoted(namesAt(place).join(' '))} ;;`).join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -F _instatunnel instatunnel
`

const namesAt = ({ words, options }: Place) => [...words.map(({ name }) => name), ...options.flatMap(flagsOf)]

import { flagsOf, type Place, stepsOf, valueFlags, type Word } from './places.ts'
import { quoted } from './quoted.ts'

/** A completion script for zsh, to be sourced or put into $fpath as _instatunnel. */
export const zshScript = (places: readonly Place[]): string => `#compdef instatunnel
# instatunnel's completion for zsh; in ~/.zshrc, after compinit: source <(instatunnel completion zsh)
_instatunnel() {
  local place= previous= word
  local -a commands options
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case $previous in (${valueFlags(places).join('|')}) previous=; continue ;; esac
    case $place/$word in (${stepsOf(places).map(quoted).join('|')}) place="\${place:+$place }$word" ;; esac
    previous=$word
  done
  case $previous in (${valueFlags(places).join('|')}) return ;; esac
  case $place in
${places.map(caseOf).join('\n')}
  esac
  _describe -t commands command commands
  _describe -o -t options option options
}
if [[ $funcstack[1] == _instatunnel ]]; then _instatunnel; else compdef _instatunnel instatunnel; fi
`

const caseOf = ({ path, words, options }: Place) => {
  const flags = options.flatMap((option) =>
    flagsOf(option).map((name) => ({ name, description: option.description })),
  )
  return `    (${quoted(path)}) commands=(${listOf(words)}) options=(${listOf(flags)}) ;;`
}

/** Names and descriptions as _describe takes them: a colon between, those of the name escaped. */
const listOf = (words: readonly Word[]) =>
  words.map(({ name, description }) => quoted(`${name.replaceAll(':', '\\:')}:${description}`)).join(' ')

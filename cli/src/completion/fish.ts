import { type OptionWord, type Place, stepsOf, valueFlags } from './places.ts'

/** A completion script for fish. */
export const fishScript = (
  places: readonly Place[],
): string => `# instatunnel's completion for fish; in ~/.config/fish/config.fish: instatunnel completion fish | source
function __instatunnel_at
    set -l place
    set -l previous
    for word in (commandline -opc)[2..-1]
        if contains -- "$previous" ${valueFlags(places).join(' ')}
            set previous
            continue
        end
        if contains -- "$place/$word" ${stepsOf(places).map(quoted).join(' ')}
            set place (string trim -- "$place $word")
        end
        set previous $word
    end
    test "$place" = "$argv[1]"
end
complete -c instatunnel -e
complete -c instatunnel -f
${places.flatMap(linesOf).join('\n')}
`

const linesOf = ({ path, words, options }: Place) => [
  ...words.map(({ name, description }) => lineOf(path, `-a ${quoted(name)}`, description)),
  ...options.map((option) => lineOf(path, switchesOf(option), option.description)),
]

const lineOf = (path: string, what: string, description: string) =>
  `complete -c instatunnel -n ${quoted(`__instatunnel_at ${quoted(path)}`)} ${what}${description && ` -d ${quoted(description)}`}`

const switchesOf = ({ short, long, takesValue }: OptionWord) =>
  [short && `-s ${short.slice(1)}`, long && `-l ${long.slice(2)}`, takesValue && '-x']
    .filter(Boolean)
    .join(' ')

/** A word within single quotes; fish knows \\' and \\\\ there. */
const quoted = (text: string) => `'${text.replace(/['\\]/g, '\\$&')}'`

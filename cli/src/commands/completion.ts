import { Argument, Command } from 'commander'
import { bashScript } from '../completion/bash.ts'
import { fishScript } from '../completion/fish.ts'
import { type Place, placesOf } from '../completion/places.ts'
import { zshScript } from '../completion/zsh.ts'
import type { Deps } from '../deps.ts'
import { createProgram } from '../program.ts'

type Shell = 'bash' | 'zsh' | 'fish'

const scripts: Readonly<Record<Shell, (places: readonly Place[]) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
}

/** `instatunnel completion` */
export const completion = (deps: Deps): Command =>
  new Command('completion')
    .description('print a script that completes the command in your shell')
    .addArgument(new Argument('<shell>', 'whose script').choices(Object.keys(scripts)))
    .addHelpText(
      'after',
      `
Put into your shell's startup file:
  bash   source <(instatunnel completion bash)
  zsh    source <(instatunnel completion zsh)
  fish   instatunnel completion fish | source`,
    )
    .action(async (shell: Shell) => {
      const script = scripts[shell](placesOf(await createProgram(deps, [])))
      deps.output.result({ shell, script }, script.trimEnd().split('\n'))
    })

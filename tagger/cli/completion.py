"""Scripts that make a shell ask tagger for completions, in the same way as those of typer's `--show-completion`."""

from __future__ import annotations

from tagger.errors import InputError
from tagger.text import printable

# Otherwise bash splits HOST:PORT and REPOSITORY:TAG into words.
_BASH = """\
COMP_WORDBREAKS=${COMP_WORDBREAKS//:}
_tagger_completion() {
    local IFS=$'\\n'
    COMPREPLY=($(_TAGGER_COMPLETE=complete_bash COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD "$1"))
}
complete -o default -F _tagger_completion tagger
"""
_ZSH = """\
#compdef tagger
_tagger_completion() {
    eval "$(_TAGGER_COMPLETE=complete_zsh _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" tagger)"
}
compdef _tagger_completion tagger
"""
_ASK_FISH = (
    "env _TAGGER_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION={} _TYPER_COMPLETE_ARGS=(commandline -cp) tagger"
)
_FISH = (
    f'complete --command tagger --no-files --arguments "({_ASK_FISH.format("get-args")})"'
    f' --condition "{_ASK_FISH.format("is-args")}"\n'
)
# PowerShell leaves an empty last word out of the line.
_POWERSHELL = """\
Register-ArgumentCompleter -Native -CommandName tagger -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $env:_TAGGER_COMPLETE = "complete_powershell"
    $env:_TYPER_COMPLETE_ARGS = $commandAst.ToString()
    $env:_TYPER_COMPLETE_WORD_TO_COMPLETE = $wordToComplete
    tagger | ForEach-Object {
        $word, $help = $_ -split ":::", 2
        if (-not "$help".Trim()) { $help = $word }
        [System.Management.Automation.CompletionResult]::new($word, $word, "ParameterValue", $help)
    }
    Remove-Item Env:_TAGGER_COMPLETE, Env:_TYPER_COMPLETE_ARGS, Env:_TYPER_COMPLETE_WORD_TO_COMPLETE
}
"""
_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH, "powershell": _POWERSHELL}
SHELLS = tuple(_SCRIPTS)


def script(shell: str) -> str:
    """Return the script for a shell. Raises InputError for an unknown shell."""
    if shell not in _SCRIPTS:
        raise InputError(f"there is no completion for '{printable(shell)}'", "give bash, zsh, fish or powershell")
    return _SCRIPTS[shell].rstrip()

_aichat_complete() {
    # Bash takes a word apart at ":" and "=", and replaces only what follows the last of them; aichat takes it whole.
    local line=${COMP_LINE:0:COMP_POINT} words=() last=-1 cut='' before='' i word rest
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        rest=${line#"${line%%[![:space:]]*}"}
        ((i < COMP_CWORD)) || word=$rest
        if [[ $i -gt 0 && $rest == "$line" && ($word =~ ^[:=]+$ || $before =~ ^[:=]+$) ]]; then
            cut=${words[last]}
            words[last]+=$word
            [[ ! $word =~ ^[:=]+$ ]] || cut=${words[last]}
        else
            cut=''
            words[++last]=$word
        fi
        before=$word
        line=${rest#"$word"}
    done
    local IFS=$'\013' space=true
    if compopt +o nospace 2>/dev/null; then space=false; fi
    # shellcheck disable=SC2207 # the bash of macOS has no mapfile
    if ! COMPREPLY=($(_CLAP_IFS=$IFS _CLAP_COMPLETE_INDEX=$last _CLAP_COMPLETE_COMP_TYPE=$COMP_TYPE \
        _CLAP_COMPLETE_SPACE=$space AICHAT_COMPLETE=bash aichat -- "${words[@]}")); then
        unset COMPREPLY
        return
    fi
    if [[ $space == false && ${COMPREPLY-} =~ [=/:]$ ]]; then compopt -o nospace; fi
    [[ -z $cut ]] || COMPREPLY=("${COMPREPLY[@]#"$cut"}")
}
if [[ ${BASH_VERSINFO[0]} -gt 4 || ${BASH_VERSINFO[0]} -eq 4 && ${BASH_VERSINFO[1]} -ge 4 ]]; then
    complete -o nospace -o bashdefault -o nosort -F _aichat_complete aichat
else
    complete -o nospace -o bashdefault -F _aichat_complete aichat
fi

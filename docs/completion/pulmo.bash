# bash completion for pulmo. The program knows what may follow: "pulmo help --complete WORD..."
# prints what could stand in place of the last word.
_pulmo()
{
    local line=${COMP_LINE:0:COMP_POINT} words=() word kept=""
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    word=${words[-1]}
    # bash splits words at "=", and replaces what stands behind the last one.
    [[ $word == *=* ]] && kept=${word%"${word##*=}"}
    mapfile -t COMPREPLY < <("${words[0]/#\~/$HOME}" help --complete "${words[@]:1}" 2>/dev/null | cut -f1)
    COMPREPLY=("${COMPREPLY[@]#"$kept"}")
    if [[ ${#COMPREPLY[@]} = 1 && ${COMPREPLY[0]} == *= ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -o default -F _pulmo pulmo

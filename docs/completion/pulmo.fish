# fish completion for pulmo. The program knows what may follow: "pulmo help --complete WORD..."
# prints what could stand in place of the last word. Where that is nothing, fish offers files.
function __pulmo_complete
    set -l words (commandline -opc) (commandline -ct)
    $words[1] help --complete $words[2..-1] 2>/dev/null
end
complete -c pulmo -n '__pulmo_complete | string length -q' -f -a '(__pulmo_complete)'

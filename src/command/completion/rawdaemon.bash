# Completion for rawdaemon(8), for bash with the bash-completion package.
# Install it as /usr/local/share/bash-completion/completions/rawdaemon

_rawdaemon() {
    local cur prev words cword
    local options='--pidfile --lock --stdin --stdout --stderr --append --chdir --chroot --user --group
        --umask --nice --oom-score-adj --rlimit --sched --ionice --cpus --capabilities --securebits
        --no-new-privs --mkdir --keep-fd --env --clear-env --argv0
        --ready --timeout --foreground --start-or-ok --restart --respawn --respawn-delay --respawn-max
        --respawn-good --respawn-final --respawn-orphan --watchdog --init --log --log-size --log-keep --log-time
        --status --list --stop --signal --kill-after
        --retry --process-group --strict --trust-pidfile --verbose --quiet --help --version'
    # The options that take a value; the letters are those of which a group can end.
    local valued='pidfile|lock|stdin|stdout|stderr|chdir|chroot|user|group|umask|nice|oom-score-adj'
    valued+='|rlimit|sched|ionice|cpus|capabilities|securebits|mkdir|keep-fd|env|argv0|ready|timeout|signal|kill-after|retry'
    valued+='|respawn-delay|respawn-max|respawn-good|respawn-final|respawn-orphan|watchdog|log|log-size|log-keep|log-time'
    local letters='plioecrugmnERts'
    # Their values are attached, or missing.
    local optional='respawn|init'

    # Words such as --ready=fd:3 and web:www are one word here.
    _get_comp_words_by_ref -n '=:' cur prev words cword || return

    # Walk to the word at the cursor. What is found first is the command.
    local i word option=
    for ((i = 1; i < cword; i++)); do
        word=${words[i]}
        if [[ -n $option ]]; then
            option=
        elif [[ $word == -- ]]; then
            ((i++))
            _rawdaemon_command "$i"
            return
        elif [[ $word == --*=* ]]; then
            :
        elif [[ $word == --* ]]; then
            [[ ${word#--} =~ ^($valued)$ ]] && option=$word
        elif [[ $word =~ ^-[^$letters-]*([$letters])(.*)$ ]]; then
            [[ -z ${BASH_REMATCH[2]} ]] && option=-${BASH_REMATCH[1]}
        elif [[ $word != -?* ]]; then
            _rawdaemon_command "$i"
            return
        fi
    done

    # The option whose value stands at the cursor, and what is attached in front of the value.
    local attached=
    if [[ -z $option ]]; then
        if [[ $cur =~ ^(--($valued|$optional)=)(.*)$ ]]; then
            option=--${BASH_REMATCH[2]} attached=${BASH_REMATCH[1]} cur=${BASH_REMATCH[3]}
        elif [[ $cur == -* ]]; then
            COMPREPLY=($(compgen -W "$options" -- "$cur"))
            return
        else
            _rawdaemon_command "$i"
            return
        fi
    fi

    case $option in
        -p | --pidfile | -l | --lock | -i | --stdin | -o | --stdout | -e | --stderr)
            _filedir
            ;;
        -c | --chdir | -r | --chroot | --mkdir)
            _filedir -d
            ;;
        -u | --user)
            if [[ $cur == *:* ]]; then
                COMPREPLY=($(compgen -P "${cur%%:*}:" -g -- "${cur#*:}"))
            else
                COMPREPLY=($(compgen -u -- "$cur"))
            fi
            ;;
        -g | --group)
            COMPREPLY=($(compgen -g -- "$cur"))
            ;;
        -m | --umask)
            COMPREPLY=($(compgen -W '022 027 077' -- "$cur"))
            ;;
        --rlimit)
            COMPREPLY=($(compgen -S = -W 'as core cpu data fsize locks memlock msgqueue nice nofile nproc rss
                rtprio rttime sigpending stack' -- "$cur"))
            compopt -o nospace
            ;;
        --sched)
            COMPREPLY=($(compgen -W 'other batch idle fifo: rr:' -- "$cur"))
            [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *: ]] && compopt -o nospace
            ;;
        --ionice)
            COMPREPLY=($(compgen -W 'idle best-effort realtime' -- "$cur"))
            ;;
        -E | --env)
            COMPREPLY=($(compgen -S = -e -- "$cur"))
            compopt -o nospace
            ;;
        -R | --ready)
            if [[ $cur == notify:* || $cur == fork:* ]]; then
                local way=${cur%%:*}
                cur=${cur#"$way:"}
                _filedir
                COMPREPLY=("${COMPREPLY[@]/#/$way:}")
                cur=$way:$cur
            else
                COMPREPLY=($(compgen -W 'exec fd: notify notify:@ notify:/ fork fork:/' -- "$cur"))
                [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[:/] ]] && compopt -o nospace
            fi
            ;;
        -s | --signal)
            # Names without SIG, which -A signal has.
            COMPREPLY=($(compgen -W "$(compgen -A signal SIG | sed -n 's/^SIG\([A-Z][A-Z0-9]*\)$/\1/p')" \
                -- "${cur#SIG}"))
            ;;
        --respawn)
            COMPREPLY=($(compgen -W 'failure always' -- "$cur"))
            ;;
        --respawn-orphan)
            COMPREPLY=($(compgen -W 'run kill' -- "$cur"))
            ;;
        --init)
            COMPREPLY=($(compgen -W 'container image' -- "$cur"))
            ;;
        --log)
            COMPREPLY=($(compgen -W 'kmsg syslog syslog:' -- "$cur"))
            [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *: ]] && compopt -o nospace
            ;;
        --log-time)
            COMPREPLY=($(compgen -W 'utc boot' -- "$cur"))
            ;;
        --retry)
            COMPREPLY=($(compgen -W 'TERM/10/KILL/5' -- "$cur"))
            ;;
    esac
    # Where = and : end a word, readline replaces only what stands behind them.
    if [[ -n $attached && $COMP_WORDBREAKS != *=* ]]; then
        COMPREPLY=("${COMPREPLY[@]/#/$attached}")
        cur=$attached$cur
    fi
    __ltrim_colon_completions "$cur"
}

# Completes as the command does that starts at this index of `words`.
_rawdaemon_command() {
    local i=0 index=0 joined
    # The same place in COMP_WORDS, where = and : are words of their own.
    for ((i = 0; i < $1; i++)); do
        joined=
        while [[ $joined != "${words[i]}" && index -lt COMP_CWORD ]]; do
            joined+=${COMP_WORDS[index++]}
        done
    done
    if declare -F _comp_command_offset >/dev/null; then
        _comp_command_offset "$index"
    else
        _command_offset "$index"
    fi
}

complete -F _rawdaemon rawdaemon

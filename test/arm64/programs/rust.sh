cd /usr/share/perl && rg -c --no-messages 'sub [a-z_]+' --type-add 'pm:*.pm' -t pm --sort path . | head -n 5 && rg --version | head -n 1 && printf 'alpha\nbeta 42\n' | rg -o '[0-9]+$'

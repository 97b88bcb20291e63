# each.sh COMMANDS INPUT...: every command of doppel (separated by ';') with every input behind it must fail; prints what they say.
IFS=';' read -ra commands <<< "$1"
shift
for command in "${commands[@]}"; do
  for input in "$@"; do
    if doppel $command "$input"; then
      echo "doppel $command $input succeeds"
      exit 1
    fi
  done
done

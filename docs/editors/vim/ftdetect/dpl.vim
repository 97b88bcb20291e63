au BufRead,BufNewFile *.dpl setfiletype dpl

module gofileserver

go 1.22

module gohash

go 1.22

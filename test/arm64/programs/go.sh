mkdir -p /tmp/go && cd /tmp/go && export HOME=/tmp GOFLAGS=-mod=mod GO111MODULE=off PATH=/usr/lib/go-1.19/bin:$PATH
cat >main.go <<'GO'
package main

import (
	"crypto/sha256"
	"fmt"
	"runtime"
	"sort"
	"sync"
)

func main() {
	var group sync.WaitGroup
	results := make([]int, 8)
	for i := range results {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			for j := 0; j < 100000; j++ {
				results[i] += (i * j) % 13
			}
		}(i)
	}
	group.Wait()
	sort.Sort(sort.Reverse(sort.IntSlice(results)))
	fmt.Println(runtime.GOARCH, results)
	fmt.Printf("%x\n", sha256.Sum256([]byte("dd")))
	defer func() { fmt.Println("recovered:", recover()) }()
	var p *int
	fmt.Println(*p)
}
GO
go run main.go

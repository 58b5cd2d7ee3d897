// The reference implementation of HCL behind a pipe: a request a line in, an answer a line out. The
// differential test (test/e2e/hcl_reference_test.py) asks it and hcl-eval the same.
//
//	{"kind": "expression" | "template" | "body", "source": "..."}
//	{"ok": true, "type": "number", "value": 1}
//	{"ok": false, "error": "...", "line": 1, "column": 2, "parse": true}
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"

	"github.com/hashicorp/go-cty-funcs/cidr"
	"github.com/hashicorp/go-cty-funcs/crypto"
	"github.com/hashicorp/go-cty-funcs/encoding"
	"github.com/hashicorp/go-cty-funcs/uuid"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	ctyyaml "github.com/zclconf/go-cty-yaml"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// What job files may call, by the names they call it by.
var functions = map[string]function.Function{
	"abs": stdlib.AbsoluteFunc, "base64decode": encoding.Base64DecodeFunc,
	"base64encode": encoding.Base64EncodeFunc, "can": tryfunc.CanFunc, "ceil": stdlib.CeilFunc,
	"chomp": stdlib.ChompFunc, "chunklist": stdlib.ChunklistFunc, "cidrhost": cidr.HostFunc,
	"cidrnetmask": cidr.NetmaskFunc, "cidrsubnet": cidr.SubnetFunc,
	"cidrsubnets": cidr.SubnetsFunc, "coalesce": stdlib.CoalesceFunc,
	"coalescelist": stdlib.CoalesceListFunc, "compact": stdlib.CompactFunc,
	"concat": stdlib.ConcatFunc, "contains": stdlib.ContainsFunc, "convert": typeexpr.ConvertFunc,
	"csvdecode": stdlib.CSVDecodeFunc, "distinct": stdlib.DistinctFunc,
	"element": stdlib.ElementFunc, "flatten": stdlib.FlattenFunc, "floor": stdlib.FloorFunc,
	"format": stdlib.FormatFunc, "formatdate": stdlib.FormatDateFunc,
	"formatlist": stdlib.FormatListFunc, "indent": stdlib.IndentFunc, "index": stdlib.IndexFunc,
	"join": stdlib.JoinFunc, "jsondecode": stdlib.JSONDecodeFunc,
	"jsonencode": stdlib.JSONEncodeFunc, "keys": stdlib.KeysFunc, "length": stdlib.LengthFunc,
	"log": stdlib.LogFunc, "lookup": stdlib.LookupFunc, "lower": stdlib.LowerFunc,
	"max": stdlib.MaxFunc, "md5": crypto.Md5Func, "merge": stdlib.MergeFunc, "min": stdlib.MinFunc,
	"parseint": stdlib.ParseIntFunc, "pow": stdlib.PowFunc, "range": stdlib.RangeFunc,
	"reverse": stdlib.ReverseFunc, "replace": stdlib.ReplaceFunc,
	"regex_replace": stdlib.RegexReplaceFunc, "setintersection": stdlib.SetIntersectionFunc,
	"setproduct": stdlib.SetProductFunc, "setunion": stdlib.SetUnionFunc, "sha1": crypto.Sha1Func,
	"sha256": crypto.Sha256Func, "sha512": crypto.Sha512Func, "signum": stdlib.SignumFunc,
	"slice": stdlib.SliceFunc, "sort": stdlib.SortFunc, "split": stdlib.SplitFunc,
	"strlen": stdlib.StrlenFunc, "strrev": stdlib.ReverseFunc, "substr": stdlib.SubstrFunc,
	"timeadd": stdlib.TimeAddFunc, "title": stdlib.TitleFunc, "trim": stdlib.TrimFunc,
	"trimprefix": stdlib.TrimPrefixFunc, "trimspace": stdlib.TrimSpaceFunc,
	"trimsuffix": stdlib.TrimSuffixFunc, "try": tryfunc.TryFunc, "upper": stdlib.UpperFunc,
	"urlencode": encoding.URLEncodeFunc, "uuidv5": uuid.V5Func, "values": stdlib.ValuesFunc,
	"yamldecode": ctyyaml.YAMLDecodeFunc, "yamlencode": ctyyaml.YAMLEncodeFunc,
	"zipmap": stdlib.ZipmapFunc,
}

type request struct{ Kind, Source string }

type answer struct {
	Ok     bool            `json:"ok"`
	Type   string          `json:"type,omitempty"`
	Value  json.RawMessage `json:"value,omitempty"`
	Error  string          `json:"error,omitempty"`
	Line   int             `json:"line,omitempty"`
	Column int             `json:"column,omitempty"`
	Parse  bool            `json:"parse,omitempty"`
}

func typeName(t cty.Type) string {
	switch {
	case t == cty.DynamicPseudoType:
		return "any"
	case t.IsPrimitiveType():
		return t.FriendlyName()
	case t.IsListType():
		return "list(" + typeName(t.ElementType()) + ")"
	case t.IsSetType():
		return "set(" + typeName(t.ElementType()) + ")"
	case t.IsMapType():
		return "map(" + typeName(t.ElementType()) + ")"
	case t.IsTupleType():
		var parts []string
		for _, e := range t.TupleElementTypes() {
			parts = append(parts, typeName(e))
		}
		return "tuple(" + strings.Join(parts, ",") + ")"
	case t.IsObjectType():
		var names, parts []string
		for name := range t.AttributeTypes() {
			names = append(names, name)
		}
		sort.Strings(names)
		for _, name := range names {
			parts = append(parts, quoted(name)+"="+typeName(t.AttributeType(name)))
		}
		return "object(" + strings.Join(parts, ",") + ")"
	default:
		return "?" + t.FriendlyName()
	}
}

func quoted(s string) string {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err)
	}
	return strings.TrimSuffix(out.String(), "\n")
}

func valueText(v cty.Value) string {
	t := v.Type()
	switch {
	case !v.IsKnown():
		return `"(unknown)"`
	case v.IsNull():
		return "null"
	case t == cty.String:
		return quoted(v.AsString())
	case t == cty.Bool:
		return fmt.Sprint(v.True())
	case t == cty.Number:
		if v.AsBigFloat().IsInf() {
			return `"(infinite)"`
		}
		return v.AsBigFloat().Text('f', -1)
	case t.IsListType(), t.IsSetType(), t.IsTupleType():
		var parts []string
		for it := v.ElementIterator(); it.Next(); {
			_, e := it.Element()
			parts = append(parts, valueText(e))
		}
		return "[" + strings.Join(parts, ",") + "]"
	case t.IsMapType(), t.IsObjectType():
		var parts []string
		for it := v.ElementIterator(); it.Next(); {
			k, e := it.Element()
			parts = append(parts, quoted(k.AsString())+":"+valueText(e))
		}
		return "{" + strings.Join(parts, ",") + "}"
	default:
		return `"(` + t.FriendlyName() + `)"`
	}
}

func failed(diags hcl.Diagnostics, parse bool) answer {
	for _, d := range diags {
		if d.Severity != hcl.DiagError {
			continue
		}
		a := answer{Error: d.Summary + "; " + d.Detail, Parse: parse}
		if d.Subject != nil {
			a.Line, a.Column = d.Subject.Start.Line, d.Subject.Start.Column
		}
		return a
	}
	return answer{Error: "no error"}
}

func bodyText(body *hclsyntax.Body, ctx *hcl.EvalContext) (string, hcl.Diagnostics) {
	var names, parts []string
	for name := range body.Attributes {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		v, diags := body.Attributes[name].Expr.Value(ctx)
		if diags.HasErrors() {
			return "", diags
		}
		parts = append(parts, quoted(name)+":"+valueText(v))
	}
	var blocks []string
	for _, block := range body.Blocks {
		inner, diags := bodyText(block.Body, ctx)
		if diags.HasErrors() {
			return "", diags
		}
		labels := []string{}
		for _, l := range block.Labels {
			labels = append(labels, quoted(l))
		}
		blocks = append(blocks, "["+quoted(block.Type)+",["+strings.Join(labels, ",")+"],"+inner+"]")
	}
	return "[{" + strings.Join(parts, ",") + "},[" + strings.Join(blocks, ",") + "]]", nil
}

func evaluate(r request) (a answer) {
	defer func() {
		if p := recover(); p != nil {
			a = answer{Error: fmt.Sprint("panic: ", p)}
		}
	}()
	ctx := &hcl.EvalContext{Functions: functions, Variables: map[string]cty.Value{}}
	start := hcl.Pos{Line: 1, Column: 1}
	if r.Kind == "body" {
		file, diags := hclsyntax.ParseConfig([]byte(r.Source), "t", start)
		if diags.HasErrors() {
			return failed(diags, true)
		}
		text, diags := bodyText(file.Body.(*hclsyntax.Body), ctx)
		if diags.HasErrors() {
			return failed(diags, false)
		}
		return answer{Ok: true, Type: "body", Value: json.RawMessage(text)}
	}
	parse := hclsyntax.ParseExpression
	if r.Kind == "template" {
		parse = hclsyntax.ParseTemplate
	}
	expr, diags := parse([]byte(r.Source), "t", start)
	if diags.HasErrors() {
		return failed(diags, true)
	}
	v, diags := expr.Value(ctx)
	if diags.HasErrors() {
		return failed(diags, false)
	}
	return answer{Ok: true, Type: typeName(v.Type()), Value: json.RawMessage(valueText(v))}
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			var r request
			if err := json.Unmarshal(line, &r); err != nil {
				panic(err)
			}
			var text bytes.Buffer
			e := json.NewEncoder(&text)
			e.SetEscapeHTML(false)
			if err := e.Encode(evaluate(r)); err != nil {
				panic(err)
			}
			out.Write(text.Bytes())
		}
		if err != nil {
			return
		}
	}
}

package redis

import (
	"errors"
	"fmt"
	"strings"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
	"github.com/yuin/gopher-lua/parse"
)

// chunkName is what Redis calls a script in its messages.
const chunkName = "user_script"

// maxNesting bounds how deep expressions and blocks lie in each other: the compiler is recursive.
const maxNesting = 200

// joinName is the function that ".." is compiled to. No script can write this name.
const joinName = ".."

// compile makes s runnable.
func (s *script) compile(text string) error {
	if strings.HasPrefix(text, "#!") {
		var err error
		if text, err = s.shebang(text); err != nil {
			return err
		}
	}
	proto, err := compile(text, chunkName)
	if err != nil {
		return failure("ERR Error compiling script (new function): " + err.Error())
	}
	s.proto = proto
	return nil
}

// shebang reads a first line such as "#!lua flags=no-writes" and blanks it.
func (s *script) shebang(text string) (string, error) {
	line, rest, found := strings.Cut(text, "\n")
	if !found {
		return "", failure("ERR Invalid script shebang")
	}
	words := strings.Fields(line)
	if words[0] != "#!lua" {
		return "", failf("ERR Unexpected engine in script shebang: %s", words[0])
	}
	for _, w := range words[1:] {
		flags, ok := strings.CutPrefix(w, "flags=")
		if !ok {
			return "", failf("ERR Unknown lua shebang option: %s", w)
		}
		for _, f := range strings.Split(flags, ",") {
			switch f {
			case "no-writes":
				s.noWrites = true
			case "allow-oom", "allow-stale", "no-cluster", "allow-cross-slot-keys":
			default:
				return "", failf("ERR Unexpected flag in script shebang: %s", f)
			}
		}
	}
	return "\n" + rest, nil
}

func compile(text, name string) (proto *lua.FunctionProto, err error) {
	defer func() {
		if r := recover(); r != nil { // the parser and compiler panic on some of what they do not understand
			proto, err = nil, fmt.Errorf("%s:1: %v", name, r)
		}
	}()
	chunk, err := parse.Parse(strings.NewReader(text), name)
	if err != nil {
		return nil, syntaxError(err)
	}
	r := rewriter{}
	r.block(chunk)
	if r.deep {
		return nil, fmt.Errorf("%s:1: chunk has too many syntax levels", name)
	}
	if proto, err = lua.Compile(chunk, name); err != nil {
		return nil, syntaxError(err)
	}
	return proto, nil
}

// syntaxError puts the parser's words into Lua's form.
func syntaxError(err error) error {
	var p *parse.Error
	var c *lua.CompileError
	switch {
	case errors.As(err, &p) && p.Pos.Line == parse.EOF:
		return fmt.Errorf("%s: %s near '<eof>'", p.Pos.Source, p.Message)
	case errors.As(err, &p):
		return fmt.Errorf("%s:%d: %s near '%s'", p.Pos.Source, p.Pos.Line, p.Message, p.Token)
	case errors.As(err, &c):
		return fmt.Errorf("%s:%d: %s", chunkName, c.Line, c.Message)
	}
	return err
}

// rewriter turns every "a .. b" into a call of a function of ours: the interpreter's own concatenation has no limit, and doubling a string
// forty times would take all memory there is.
type rewriter struct {
	depth int
	deep  bool // nested too deep
}

// enter goes one level down unless that is too deep.
func (r *rewriter) enter() bool {
	r.deep = r.deep || r.depth >= maxNesting
	r.depth++
	return !r.deep
}

func (r *rewriter) leave() { r.depth-- }

func (r *rewriter) block(stmts []ast.Stmt) {
	defer r.leave()
	if !r.enter() {
		return
	}
	for _, s := range stmts {
		r.stmt(s)
	}
}

func (r *rewriter) stmt(s ast.Stmt) {
	switch s := s.(type) {
	case *ast.AssignStmt:
		r.exprs(s.Lhs)
		r.exprs(s.Rhs)
	case *ast.LocalAssignStmt:
		r.exprs(s.Exprs)
	case *ast.FuncCallStmt:
		r.expr(&s.Expr)
	case *ast.DoBlockStmt:
		r.block(s.Stmts)
	case *ast.WhileStmt:
		r.expr(&s.Condition)
		r.block(s.Stmts)
	case *ast.RepeatStmt:
		r.block(s.Stmts)
		r.expr(&s.Condition)
	case *ast.IfStmt:
		r.expr(&s.Condition)
		r.block(s.Then)
		r.block(s.Else)
	case *ast.NumberForStmt:
		r.expr(&s.Init)
		r.expr(&s.Limit)
		r.expr(&s.Step)
		r.block(s.Stmts)
	case *ast.GenericForStmt:
		r.exprs(s.Exprs)
		r.block(s.Stmts)
	case *ast.FuncDefStmt:
		r.block(s.Func.Stmts)
	case *ast.ReturnStmt:
		r.exprs(s.Exprs)
	}
}

func (r *rewriter) exprs(list []ast.Expr) {
	for i := range list {
		r.expr(&list[i])
	}
}

func (r *rewriter) expr(at *ast.Expr) {
	defer r.leave()
	if !r.enter() {
		return
	}
	switch e := (*at).(type) {
	case *ast.AttrGetExpr:
		r.expr(&e.Object)
		r.expr(&e.Key)
	case *ast.TableExpr:
		for _, f := range e.Fields {
			r.expr(&f.Key)
			r.expr(&f.Value)
		}
	case *ast.FuncCallExpr:
		r.expr(&e.Func)
		r.expr(&e.Receiver)
		r.exprs(e.Args)
	case *ast.LogicalOpExpr:
		r.expr(&e.Lhs)
		r.expr(&e.Rhs)
	case *ast.RelationalOpExpr:
		r.expr(&e.Lhs)
		r.expr(&e.Rhs)
	case *ast.ArithmeticOpExpr:
		r.expr(&e.Lhs)
		r.expr(&e.Rhs)
	case *ast.UnaryMinusOpExpr:
		r.expr(&e.Expr)
	case *ast.UnaryNotOpExpr:
		r.expr(&e.Expr)
	case *ast.UnaryLenOpExpr:
		r.expr(&e.Expr)
	case *ast.FunctionExpr:
		r.block(e.Stmts)
	case *ast.StringConcatOpExpr:
		*at = r.join(e)
	}
}

// join makes one call of a whole chain a .. b .. c, which leans to the right.
func (r *rewriter) join(e *ast.StringConcatOpExpr) ast.Expr {
	name := &ast.IdentExpr{Value: joinName}
	call := &ast.FuncCallExpr{Func: name, AdjustRet: true}
	for _, n := range []ast.PositionHolder{name, call} {
		n.SetLine(e.Line())
		n.SetLastLine(e.LastLine())
	}
	for {
		call.Args = append(call.Args, single(e.Lhs))
		next, ok := e.Rhs.(*ast.StringConcatOpExpr)
		if !ok {
			call.Args = append(call.Args, single(e.Rhs))
			r.exprs(call.Args)
			return call
		}
		e = next
	}
}

// single makes an operand give one value, as operands do, where as the last argument of a call it would give all.
func single(e ast.Expr) ast.Expr {
	switch e := e.(type) {
	case *ast.FuncCallExpr:
		e.AdjustRet = true
	case *ast.Comma3Expr:
		e.AdjustRet = true
	}
	return e
}

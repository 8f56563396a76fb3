using System.Buffers;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.OpenAiChat;

internal sealed partial class ChatRequestWriter
{
    private bool UsesFunctions => form is { UsesFunctions: true };

    private void WriteTools(ref JsonObjectWriter json)
    {
        var written = 0;
        foreach (var tool in request.Tools)
        {
            if (tool.Kind == ToolKind.Provider && !IsOurs)
            {
                Drop(SourcePaths.Tool(request.Source, tool.Name.Exists ? tool.Name.ToString() : "?"));
                continue;
            }
            if (written++ == 0)
            {
                json.Name(UsesFunctions && tool.Kind == ToolKind.Function ? "functions"u8 : "tools"u8);
            }
            output.WriteByte(written == 1 ? (byte)'[' : (byte)',');
            WriteTool(tool);
        }
        if (written > 0)
        {
            output.WriteByte((byte)']');
        }
        if (written > 0 || IsOurs)
        {
            WriteChoice(ref json);
            json.Boolean("parallel_tool_calls"u8, request.ParallelToolCalls);
        }
    }

    private void WriteTool(NeutralTool tool)
    {
        if (tool.Kind == ToolKind.Provider)
        {
            output.Write(tool.Raw.Span);
            return;
        }
        if (tool.Kind == ToolKind.Function && UsesFunctions)
        {
            WriteFunction(tool, default);
            return;
        }
        var isCustom = tool.Kind == ToolKind.Custom;
        var json = new JsonObjectWriter(output);
        json.Text("type"u8, isCustom ? "custom" : "function");
        json.Name(isCustom ? "custom"u8 : "function"u8);
        if (isCustom)
        {
            WriteCustom(tool);
        }
        else
        {
            WriteFunction(tool, "function."u8);
        }
        WriteCacheMark(ref json, tool.Cache, SourcePaths.ToolCacheMark(request.Source));
        if (IsOurs)
        {
            WriteMembers(ref json, tool.Extensions, isCustom ? "custom."u8 : "function."u8, within: false);
        }
        json.End();
    }

    private void WriteFunction(NeutralTool tool, ReadOnlySpan<byte> prefix)
    {
        var json = new JsonObjectWriter(output);
        json.Text("name"u8, tool.Name);
        json.Text("description"u8, tool.Description);
        json.Raw("parameters"u8, tool.Parameters);
        json.Boolean("strict"u8, Strictness(tool.Strict, tool.Parameters, SourcePaths.ToolStrict(request.Source)));
        if (IsOurs)
        {
            WriteMembers(ref json, tool.Extensions, prefix, within: true);
        }
        json.End();
    }

    private void WriteCustom(NeutralTool tool)
    {
        var json = new JsonObjectWriter(output);
        json.Text("name"u8, tool.Name);
        json.Text("description"u8, tool.Description);
        if (!tool.Format.IsEmpty)
        {
            json.Name("format"u8);
            WriteCustomFormat(tool.Format);
        }
        if (IsOurs)
        {
            WriteMembers(ref json, tool.Extensions, "custom."u8, within: true);
        }
        json.End();
    }

    /// <summary>Responses puts a grammar's definition beside its type, chat into a <c>grammar</c> of its own.</summary>
    private void WriteCustomFormat(ReadOnlyMemory<byte> format)
    {
        if (IsOurs)
        {
            output.Write(format.Span);
            return;
        }
        var members = JsonMembers.Of(format);
        var type = members.Take("type"u8);
        if (!type.Is("grammar"u8) || members.Take("grammar"u8).Exists)
        {
            output.Write(format.Span);
            return;
        }
        var json = new JsonObjectWriter(output);
        json.Text("type"u8, type.Text);
        json.Name("grammar"u8);
        var inner = new JsonObjectWriter(output);
        inner.Raw("definition"u8, members.Take("definition"u8).Raw);
        inner.Raw("syntax"u8, members.Take("syntax"u8).Raw);
        inner.End();
        json.End();
    }

    private void WriteCacheMark(ref JsonObjectWriter json, CacheMark? mark, string path)
    {
        if (mark is null)
        {
            return;
        }
        if (form?.InPlace.Contains(mark) == true)
        {
            json.Name("prompt_cache_breakpoint"u8);
            var inner = new JsonObjectWriter(output);
            inner.Text("mode"u8, "explicit");
            inner.Text("ttl"u8, mark.Ttl);
            inner.Members(mark.Extensions);
            inner.End();
        }
        else if (IsOurs || provider.TakesCacheMarks)
        {
            json.Name("cache_control"u8);
            WriteMark(mark);
        }
        else
        {
            Drop(path);
        }
    }

    private void WriteChoice(ref JsonObjectWriter json)
    {
        if (request.ToolChoice is not { } choice)
        {
            return;
        }
        json.Name(UsesFunctions ? "function_call"u8 : "tool_choice"u8);
        if (UsesFunctions && choice.Mode == ToolChoiceMode.Named)
        {
            WriteName(choice.Names[0]);
            return;
        }
        switch (choice.Mode)
        {
            case ToolChoiceMode.Named:
                WriteNamed(choice);
                break;
            case ToolChoiceMode.Allowed:
                WriteAllowed(choice);
                break;
            default:
                output.Write(choice.Mode switch { ToolChoiceMode.None => "\"none\""u8, ToolChoiceMode.Required => "\"required\""u8, _ => "\"auto\""u8 });
                break;
        }
    }

    private void WriteNamed(NeutralToolChoice choice)
    {
        var isCustom = choice.Kind == ToolKind.Custom;
        var json = new JsonObjectWriter(output);
        json.Text("type"u8, isCustom ? "custom" : "function");
        json.Name(isCustom ? "custom"u8 : "function"u8);
        var prefix = isCustom ? "custom."u8 : "function."u8;
        var inner = new JsonObjectWriter(output);
        inner.Text("name"u8, choice.Names[0]);
        if (IsOurs)
        {
            WriteMembers(ref inner, choice.Extensions, prefix, within: true);
        }
        inner.End();
        if (IsOurs)
        {
            WriteMembers(ref json, choice.Extensions, prefix, within: false);
        }
        json.End();
    }

    private void WriteAllowed(NeutralToolChoice choice)
    {
        var json = new JsonObjectWriter(output);
        json.Text("type"u8, "allowed_tools");
        json.Name("allowed_tools"u8);
        var inner = new JsonObjectWriter(output);
        inner.Text("mode"u8, choice.IsRequired ? "required" : "auto");
        inner.Name("tools"u8);
        output.WriteByte((byte)'[');
        for (var i = 0; i < choice.Names.Count; i++)
        {
            output.Write(i == 0 ? "{\"type\":\"function\",\"function\":"u8 : ",{\"type\":\"function\",\"function\":"u8);
            WriteName(choice.Names[i]);
            output.WriteByte((byte)'}');
        }
        output.WriteByte((byte)']');
        inner.End();
        json.End();
    }

    private void WriteName(JsonText name)
    {
        var json = new JsonObjectWriter(output);
        json.Text("name"u8, name);
        json.End();
    }
}

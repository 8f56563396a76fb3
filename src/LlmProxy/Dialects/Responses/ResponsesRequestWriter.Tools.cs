using System.Buffers;
using LlmProxy.Dialects.OpenAiChat;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Responses;

internal sealed partial class ResponsesRequestWriter
{
    private void WriteTools(ref JsonObjectWriter json)
    {
        var isOpen = false;
        foreach (var tool in request.Tools)
        {
            ReadOnlyMemory<byte> raw = default;
            if (form?.Tools.TryGetValue(tool, out raw) != true && tool.Kind == ToolKind.Provider)
            {
                Drop(SourcePaths.Tool(request.Source, tool.Name.ToString()));
                continue;
            }
            if (isOpen)
            {
                output.WriteByte((byte)',');
            }
            else
            {
                json.Name("tools"u8);
                output.WriteByte((byte)'[');
                isOpen = true;
            }
            if (raw.IsEmpty)
            {
                WriteTool(tool);
            }
            else
            {
                output.Write(raw.Span);
            }
        }
        if (isOpen)
        {
            output.WriteByte((byte)']');
        }
        else if (form is not null && form.Members.ContainsKey("tools") && request.Tools.Count == 0)
        {
            json.Raw("tools"u8, "[]"u8);
        }
        WriteToolChoice(ref json, isOpen);
    }

    private void WriteTool(NeutralTool tool)
    {
        var json = new JsonObjectWriter(output);
        var isCustom = tool.Kind == ToolKind.Custom;
        json.Text("type"u8, isCustom ? "custom" : "function");
        json.Text("name"u8, tool.Name);
        json.Text("description"u8, tool.Description);
        if (isCustom)
        {
            if (!tool.Format.IsEmpty)
            {
                json.Name("format"u8);
                WriteCustomFormat(tool.Format);
            }
        }
        else
        {
            var parameters = tool.Parameters.IsEmpty ? "{\"type\":\"object\",\"properties\":{}}"u8.ToArray() : tool.Parameters;
            json.Raw("parameters"u8, parameters);
            // Where nothing is said, this format means strict and the others do not.
            json.Boolean("strict"u8, IsOurs ? tool.Strict : Strictness(tool.Strict, parameters, SourcePaths.ToolStrict(request.Source)) ?? false);
        }
        if (IsOurs)
        {
            json.Members(tool.Extensions);
        }
        else
        {
            DropIf(tool.Cache is not null, SourcePaths.ToolCacheMark(request.Source));
        }
        json.End();
    }

    /// <summary>Chat puts a grammar's definition into a <c>grammar</c> of its own, Responses beside its type.</summary>
    private void WriteCustomFormat(ReadOnlyMemory<byte> format)
    {
        var members = JsonMembers.Of(format);
        var type = members.Take("type"u8);
        if (!type.Is("grammar"u8) || members.Take("grammar"u8) is not { IsObject: true } grammar)
        {
            output.Write(format.Span);
            return;
        }
        var inner = JsonMembers.Of(grammar.Raw);
        var json = new JsonObjectWriter(output);
        json.Text("type"u8, type.Text);
        json.Raw("syntax"u8, inner.Take("syntax"u8).Raw);
        json.Raw("definition"u8, inner.Take("definition"u8).Raw);
        json.End();
    }

    private void WriteToolChoice(ref JsonObjectWriter json, bool hasTools)
    {
        var choice = request.ToolChoice;
        if (form is not null && form.ToolChoice == choice)
        {
            json.Raw("tool_choice"u8, form.Find("tool_choice"));
            return;
        }
        if (choice is null || (!hasTools && choice.Mode is ToolChoiceMode.Auto or ToolChoiceMode.None))
        {
            return;
        }
        if (!hasTools)
        {
            Drop("tool_choice");
            return;
        }
        json.Name("tool_choice"u8);
        switch (choice.Mode)
        {
            case ToolChoiceMode.Auto or ToolChoiceMode.None or ToolChoiceMode.Required:
                output.WriteText(choice.Mode.ToString().ToLowerInvariant());
                break;
            case ToolChoiceMode.Named:
                WriteNamed(choice.Kind, choice.Names[0]);
                break;
            default:
                var allowed = new JsonObjectWriter(output);
                allowed.Text("type"u8, "allowed_tools");
                allowed.Text("mode"u8, choice.IsRequired ? "required" : "auto");
                allowed.Name("tools"u8);
                output.WriteByte((byte)'[');
                for (var i = 0; i < choice.Names.Count; i++)
                {
                    if (i > 0)
                    {
                        output.WriteByte((byte)',');
                    }
                    WriteNamed(request.Tools.Find(tool => tool.Name.Is(choice.Names[i].Decode()))?.Kind ?? ToolKind.Function, choice.Names[i]);
                }
                output.WriteByte((byte)']');
                allowed.End();
                break;
        }
    }

    private void WriteNamed(ToolKind kind, JsonText name)
    {
        var json = new JsonObjectWriter(output);
        json.Text("type"u8, kind == ToolKind.Custom ? "custom" : "function");
        json.Text("name"u8, name);
        json.End();
    }
}
